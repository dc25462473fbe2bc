import pytest
from session_network import tcp_to_db
from session_world import START

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict
from vtrace_ovs.session.runs import MOST_UNCLAIMED, Stage, TaskRun


def keep(one: TaskRun, copy: PacketInRecord, at: float) -> bool:
    return one.keep(copy, at, enters=copy.loc is Loc.IN and copy.dscp_mark == 1)


def run(packet_count: int = 2) -> TaskRun:
    return TaskRun(Task(1, tcp_to_db(packet_count=packet_count), TaskState.ARMED, START), slot=0, claimed_at=START)


def record(packet: str, mark: int = 1, loc: Loc = Loc.IN) -> PacketInRecord:
    headers = Headers("a", "b", 0x0800, 60)
    return PacketInRecord(0, 1, BridgeId("s", "b"), None, loc, packet, None, headers, mark, 1, START)


def test_packets_are_counted_as_they_enter() -> None:
    one = run()
    assert keep(one, record("a"), 1.0)
    assert keep(one, record("a", loc=Loc.OUT), 1.0)
    assert keep(one, record("a", mark=2), 1.0)
    assert (one.packets, one.full, one.sequence) == (1, False, 3)


def test_equal_packets_count_one_each() -> None:
    one = run()
    assert all(keep(one, record("a"), 1.0) for _ in range(2))
    assert (one.packets, one.full) == (2, True)


def test_a_packet_beyond_the_number_asked_for_is_not_kept() -> None:
    one = run(1)
    keep(one, record("a"), 1.0)
    assert not keep(one, record("b"), 1.0)
    assert not keep(one, record("b", mark=2), 1.0)
    assert (one.packets, one.extra_packets, one.sequence) == (1, 1, 1)


def test_a_twin_beyond_the_number_asked_for_is_kept_but_not_counted() -> None:
    one = run(1)
    keep(one, record("a"), 1.0)
    assert keep(one, record("a"), 1.0)
    assert (one.packets, one.extra_packets) == (1, 1)
    assert one.groups["a"].beyond == 1


def test_a_packet_first_seen_at_its_second_hop_is_no_twin_when_its_first_comes() -> None:
    one = run(1)
    keep(one, record("a", mark=2), 1.0)
    assert not one.full
    assert keep(one, record("a"), 1.1)
    assert (one.packets, one.extra_packets) == (1, 0)


def test_a_failure_outweighs_a_cancellation() -> None:
    ends = []
    one = run()
    ends.append(one.final_state)
    one.cancelled = True
    ends.append(one.final_state)
    one.failure = "no"
    ends.append(one.final_state)
    assert ends == [TaskState.DONE, TaskState.CANCELLED, TaskState.FAILED]


def test_a_note_is_made_once() -> None:
    one = run()
    one.note("a")
    one.note("a")
    assert one.notes == ["a"]


def test_traffic_is_unknown_before_arming() -> None:
    with pytest.raises(ValueError, match="task 1"):
        _ = run().traffic


def test_packets_are_colored_in_two_stages_and_known_in_four() -> None:
    one = run()
    coloring, instrumented = set(), set()
    for stage in Stage:
        one.stage = stage
        coloring |= {stage} if one.coloring else set()
        instrumented |= {stage} if one.instrumented else set()
    assert coloring == {Stage.ARMING, Stage.COLLECTING}
    assert instrumented == coloring | {Stage.CLOSING, Stage.DRAINING}


def test_what_a_tenant_may_have_marked_itself_is_no_packet_of_the_trace() -> None:
    one = run()
    one.stage = Stage.COLLECTING
    keep(one, record("a"), 1.0)
    keep(one, record("b", mark=2), 1.0)
    keep(one, record("b", mark=3), 1.1)
    for number, mark in enumerate((1, 2)):
        hop = Hop(BridgeId("s", "b"), mark, 1)
        way = Trajectory(1, "a", number, Origin.OBSERVED, None, (hop,), Ending.OPEN)
        verdict = Verdict(Disposition.DELIVERED, CauseCategory.NONE, CauseCode.NONE, Confidence.OBSERVED, "", "")
        one.groups["a"].decisions[number] = DiagnosedPacket(way, None, verdict)
    assert [packet.observed.occurrence for packet in one.decisions] == [0]
    assert list(one.open) == ["a"]
    assert one.uncolored == 1, "the copy that shows the coloring of b may be late"
    one.stage = Stage.CLOSING
    assert one.uncolored == 2


def test_forged_marks_take_no_place_and_little_memory_and_nobody_waits_for_them() -> None:
    one = run()
    one.stage = Stage.COLLECTING
    for number in range(MOST_UNCLAIMED + 5):
        keep(one, record(f"forged {number}", mark=2), 1.0)
    assert (len(one.groups), one.packets, one.undecided, one.uncolored) == (MOST_UNCLAIMED, 0, False, 5)
    keep(one, record("a"), 2.0)
    keep(one, record("b"), 2.0)
    assert (one.packets, one.full, one.undecided) == (2, True, True)
    assert not keep(one, record("late", mark=2), 2.0)


def test_a_packet_that_enters_beyond_the_number_asked_for_is_forgotten_with_its_later_copies() -> None:
    one = run(1)
    keep(one, record("b", mark=2), 1.0)
    keep(one, record("a"), 1.0)
    assert not keep(one, record("b"), 1.1)
    assert (list(one.groups), one.packets, one.extra_packets) == (["a"], 1, 1)
