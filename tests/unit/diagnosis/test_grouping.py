from dataclasses import replace

from vtrace_ovs.diagnosis.grouping import packets_of, path_of, refuses
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import (
    CauseCategory,
    CauseCode,
    Confidence,
    Disposition,
    PathGroup,
    TaskResult,
    Verdict,
)

HERE, THERE = Hop(BridgeId("cs1", "br-int"), 1, 3, 4), Hop(BridgeId("cs1", "br-int"), 1, 3, 5)
FIRST = Trajectory(1, "a", 0, Origin.OBSERVED, None, (HERE,), Ending.HANDED_TO_PORT)
TWIN = replace(FIRST, packet_id="b")
OTHER = replace(FIRST, packet_id="c", hops=(THERE,))
DELIVERED = Verdict(
    Disposition.DELIVERED, CauseCategory.NONE, CauseCode.NONE, Confidence.OBSERVED, "operator", "tenant"
)
DOUBTED = replace(DELIVERED, confidence=Confidence.INFERRED)


def result(*groups: PathGroup) -> TaskResult:
    return TaskResult(1, DELIVERED, groups, 3)


def test_packets_of_one_way_are_in_the_group_of_its_example() -> None:
    here, there = PathGroup(DELIVERED, FIRST, 2), PathGroup(DOUBTED, OTHER, 1)
    predicted = replace(FIRST, origin=Origin.PREDICTED)
    found = packets_of((FIRST, predicted, OTHER, TWIN), result(here, there))
    assert found == ((FIRST, here), (OTHER, there), (TWIN, here))


def test_where_one_way_met_two_verdicts_only_the_examples_are_known() -> None:
    sure, doubted = PathGroup(DELIVERED, FIRST, 2), PathGroup(DOUBTED, TWIN, 1)
    third = replace(FIRST, packet_id="d")
    assert packets_of((FIRST, TWIN, third), result(sure, doubted)) == ((FIRST, sure), (TWIN, doubted), (third, None))


def test_without_a_result_no_packet_is_in_a_group() -> None:
    assert packets_of((FIRST,), None) == ((FIRST, None),)
    assert packets_of((OTHER,), result(PathGroup(DELIVERED, FIRST, 1))) == ((OTHER, None),)


def test_the_port_it_left_by_makes_another_path() -> None:
    assert path_of(FIRST) == path_of(TWIN) != path_of(OTHER)


def test_packets_that_refuse_a_connection_have_a_group_of_their_own() -> None:
    reset = Headers("", "", 0x0800, 54, tcp_seq=0, tcp_flags=0x14)
    refusal = replace(FIRST, packet_id="e", hops=(replace(HERE, headers_in=reset),))
    assert refuses(refusal)
    assert not refuses(FIRST)
    here, no = PathGroup(DELIVERED, FIRST, 1), PathGroup(DELIVERED, refusal, 1)
    again = replace(refusal, packet_id="f")
    assert packets_of((TWIN, again), result(here, no)) == ((TWIN, here), (again, no))
