"""Remote bridges count too: what passes and what is dropped, in intervals as long as not asking the datapath takes."""

import json
from typing import Any

from remote_overlay import DEADLINE, LISTEN, Overlay, rows

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import CauseCode

COUNT = ("stats", "udp,nw_src=10.0.0.1,tp_dst=53", "-t", "6", "-o", "json", *LISTEN)

Json = dict[str, Any]


def counted(overlay: Overlay, ovs: OvsInstance) -> Json:
    """What is told when of four packets one goes where it is dropped, all the time."""
    with overlay.background(*COUNT) as process:
        overlay.wait_for(TaskState.ARMED, process)
        assert rows(ovs) == ["service,out-of-band"] * 2
        while process.poll() is None:
            overlay.send(ovs, "10.0.0.2", 3)
            overlay.send(ovs, "10.0.0.9", 1)
        out, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1, errors
    told: Json = json.loads(out)
    return told


def test_what_a_remote_bridge_drops_is_counted_beside_what_it_lets_pass(overlay: Overlay) -> None:
    with overlay.up() as ovs:
        before = overlay.fingerprints()
        told = counted(overlay, ovs)
        assert overlay.fingerprints() == before
    assert overlay.open_intents() == ()
    (place,) = told["places"]
    assert place["verdict"]["code"] == CauseCode.EXPLICIT_DROP.value
    assert place["verdict"]["culprit"]["bridge"].endswith("/sw2")
    assert "nw_dst=10.0.0.9" in place["verdict"]["operator_sentence"]
    assert told["intervals"]
    for interval in told["intervals"]:
        assert interval["unknown"] is None
        first, last = interval["vfds"]
        assert first["in"] == first["ended"] == last["in"] == last["ended"] == interval["packets"]
        lost = sum(loss["packets"] for loss in interval["losses"])
        assert last["dropped"] == lost
        # The other color may come a moment later to packets that are dropped than to those that pass.
        assert abs(interval["packets"] - 4 * lost) <= interval["packets"] / 20, interval
