"""Turns packets that were handed to a port, and what its QoS queues sent and dropped, into what became of them there.

A queue works behind Open vSwitch's own output: a packet it drops was logged as handed to the port all the same.
"""

from dataclasses import replace

from vtrace_ovs.diagnosis.blame import Counters
from vtrace_ovs.diagnosis.case import Finding, seen, verdict_of
from vtrace_ovs.diagnosis.naming import counted, port_name
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence, Verdict


def behind_a_queue(verdict: Verdict, example: Trajectory, scene: Scene, counters: Counters) -> Verdict:
    """The verdict on packets that fared like ``example``, with what the queues of the port they left by did meanwhile.

    Where they sent nothing, no packet arrived; where they dropped more than they sent, nobody knows whether any did.
    """
    hop = example.last
    if hop is None or hop.out_port is None or verdict.disposition is not Disposition.DELIVERED:
        return verdict
    port = counters.ports.get((hop.bridge, hop.out_port))
    if port is None or not port.queue_dropped or port.queue_sent is None:
        return verdict
    whole = counted(port.queue_sent + port.queue_dropped, "packet")
    did = f"dropped {port.queue_dropped} of {whole} while the task ran"
    where = port_name(scene, hop.bridge, hop.out_port)
    evidence: tuple[Evidence, ...] = (*verdict.evidence, seen(f"The QoS queues of {where} {did}, of all traffic."))
    if port.queue_dropped <= port.queue_sent:
        return replace(verdict, evidence=evidence)
    certain = not port.queue_sent
    finding = Finding(
        disposition=Disposition.DROPPED if certain else Disposition.INCONCLUSIVE,
        code=CauseCode.EGRESS_QUEUE_LIMIT,
        confidence=Confidence.CORROBORATED if certain else Confidence.UNDECIDED,
        particulars=Particulars(
            towards=where, detail=did if certain else f"{did}; whether this one was among them cannot be told"
        ),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        evidence=evidence,
    )
    return verdict_of(finding, None)
