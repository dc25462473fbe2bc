from collections.abc import Callable

from vtrace_ovs.diagnosis.loops import round_phrase
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import CauseCode

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]


def test_the_devices_of_the_last_round_are_named_in_order(hop: MakeHop, way: Way, scene: Scene) -> None:
    round_trip = (
        hop("cs1/br-int", 1),
        hop("cs2/br-int", 2),
        hop("gw1/br-int", 3),
        hop("gw1/vr-blue", 4),
        hop("gw1/br-int", 5, in_port=20),
        hop("cs2/br-int", 6),
    )
    looped = way(Ending.LOOPED, *round_trip)
    assert round_phrase(looped) == ", by way of gw1/br-int, gw1/vr-blue"
    verdict = diagnose(looped, None, scene)
    assert verdict.code is CauseCode.FORWARDING_LOOP
    assert "sees the same packet again and again, by way of gw1/br-int, gw1/vr-blue." in verdict.operator_sentence
    assert "gw1" not in verdict.tenant_sentence


def test_where_no_other_device_is_known_none_is_named(hop: MakeHop, way: Way) -> None:
    once, again = hop("cs1/br-int", 1, in_port=10), hop("cs1/br-int", 2, in_port=10)
    assert round_phrase(way(Ending.LOOPED, once, again)) == ""
    assert round_phrase(way(Ending.LOOPED, once)) == ""
    assert round_phrase(way(Ending.LOOPED, once, hop("cs1/br-int", 2, in_port=11))) == ""
