"""Of the copies of real packets, any may be missing: what is left never makes a loss of what arrived (N3, T18)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from lost_copies import CHANCES, DELIVERED, RATE, SITUATIONS, UNKNOWN, Situation
from vtrace_program import DEADLINE, UDP, sending

from vtrace_ovs.codecs.profiles import load_profile
from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket, conclude
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import CopyTally, Scene
from vtrace_ovs.filters import trace_request
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.pytest_plugin import Tracer
from vtrace_ovs.session.predicting import predict
from vtrace_ovs.storage.store import Store
from vtrace_ovs.trajectories.stitch import Stitcher
from vtrace_ovs.walker.network import Network

SUBSETS, PACKETS = 120, 6
REQUEST = trace_request(UDP)
Fates = set[tuple[Disposition, CauseCode]]


@dataclass(frozen=True)
class Evidence:
    """The records of one real task, and what its packets are judged by."""

    records: tuple[PacketInRecord, ...]
    scene: Scene
    network: Network

    def fates(self, records: Sequence[PacketInRecord]) -> Fates:
        """What is said of the packets, and of all of them, where only these copies came."""
        taken = Counter(record.bridge for record in self.records)
        came = Counter(record.bridge for record in records)
        copies = {bridge: CopyTally(count, count - came[bridge]) for bridge, count in taken.items()}
        scene = replace(self.scene, copies=copies)
        packets = []
        for way in Stitcher(scene.topology).stitch(records):
            if way.hops[0].inferred or way.hops[0].dscp_mark != 1:
                continue  # nobody was seen to color it: it may be forged
            own = [record for record in records if record.packet_id == way.packet_id]
            predicted = predict(self.network, way, own)
            packets.append(DiagnosedPacket(way, predicted, diagnose(way, predicted, scene)))
        result = conclude(1, REQUEST, packets, scene)
        verdicts = (result.verdict, *(packet.verdict for packet in packets))
        return {(verdict.disposition, verdict.code) for verdict in verdicts}


def recorded(lab: Lab, vtrace: Tracer, situation: Situation) -> Evidence:
    with situation.brought_about(lab), sending(lab, rate=RATE):
        task_id = vtrace.trace(UDP, packet_count=PACKETS, trace_time=4, source_vm="blue-web1").task_id
    topology = read_inventory(lab.state().ovsdb_remotes, DEADLINE, None).topology
    profiles = {vfd.id: load_profile(vfd.profile) for vfd in topology.vfds() if vfd.profile}
    with Store.open(vtrace.settings.database) as store:
        records = store.records(task_id)
        tables = {kept.bridge: store.snapshot(kept.digest) for kept in store.snapshots_of(task_id)}
    network = Network.build(topology, {bridge: read for bridge, read in tables.items() if read is not None})
    return Evidence(records, Scene(topology, profiles), network)


@pytest.mark.parametrize("name", ["healthy", "security-deny", "underlay-link-down"])
def test_whatever_is_left_of_real_evidence_no_verdict_is_wrong(lab: Lab, vtrace: Tracer, name: str) -> None:
    situation = SITUATIONS[name]
    real = recorded(lab, vtrace, situation)
    twins = replace(real, records=tuple(replace(record, packet_id="equal") for record in real.records))
    for evidence in (real, twins):
        assert evidence.fates(evidence.records) == situation.true
        said: Fates = set()
        for seed in range(SUBSETS):
            chance = Random(seed)  # noqa: S311 - which copies are lost is no secret
            share = CHANCES[seed % len(CHANCES)]
            said |= evidence.fates([record for record in evidence.records if chance.random() >= share])
        assert said <= situation.true | {UNKNOWN}
        assert said >= situation.true | {UNKNOWN} - {DELIVERED}
