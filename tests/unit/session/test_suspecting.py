from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from session_network import CS1, CS2, GW, headers, tcp_to_db
from session_world import START, World

from vtrace_ovs.model.datapath import Contradiction, DatapathQuestion, DatapathReading
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Topology
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition, Verdict
from vtrace_ovs.session.commands import ReadDatapaths, SearchUnderlay
from vtrace_ovs.session.suspecting import MOST_QUESTIONS, QUIET, Suspicions

PATIENCE = 8.0
DROPS = Contradiction("in_port(6)", "drop", "tnl_pop(3)", ("tnl_pop(3)",), used_at=START + PATIENCE, outer=True)
FIVE_TUPLE = FiveTuple(17, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), 1, 2)
QUESTION = DatapathQuestion("cs1", Filter.of(FIVE_TUPLE), macs=("02:00:00:00:00:01", "02:00:00:00:00:02"))
TOPOLOGY = Topology((), (Bridge(BridgeId("cs1", "br"), 1, BridgeRole.VSWITCH, (), ManagementSocket("/cs1/br.mgmt")),))
LOST = Verdict(
    *(Disposition.LOST_IN_VFD, CauseCategory.UNKNOWN, CauseCode.UNKNOWN, Confidence.INFERRED, "", ""),
    culprit=Culprit("cs1", BridgeId("cs1", "br")),
)


def way(seen: float = 5.0, port: int = 1) -> Trajectory:
    packet = replace(headers(), five_tuple=replace(FIVE_TUPLE, source_port=port))
    hop = Hop(BridgeId("cs1", "br"), 1, 3, headers_in=packet)
    return Trajectory(1, "a", 0, Origin.OBSERVED, None, (hop,), Ending.OPEN, first_seen=seen, last_seen=seen)


def answer(suspicions: Suspicions, asked: tuple[ReadDatapaths, ...], at: float) -> None:
    suspicions.take(tuple(DatapathReading(one, at, 1, 0) for command in asked for _, one in command.questions))


def test_a_silent_loss_asks_once_for_all_packets_seen_before_the_answer() -> None:
    suspicions = Suspicions()
    suspicions.notice(way(), LOST)
    suspicions.notice(way(6.0), LOST)
    asked = suspicions.begin(1, TOPOLOGY, 7.0, 5.0)
    assert [question for command in asked for _, question in command.questions] == [QUESTION]
    suspicions.notice(way(6.5), LOST)
    assert suspicions.begin(1, TOPOLOGY, 7.5, 5.0) == (), "one thing at a time"
    answer(suspicions, asked, 7.0)
    suspicions.wanted.clear()
    suspicions.notice(way(6.5), LOST)
    assert suspicions.begin(1, TOPOLOGY, 8.0, 5.0) == ()
    suspicions.notice(way(7.5), LOST)
    assert suspicions.begin(1, TOPOLOGY, 8.0, 5.0) != (), "what was read before says nothing of this packet"


@pytest.mark.parametrize("code", [CauseCode.EXPLICIT_DROP, CauseCode.VSWITCHD_DEAD, CauseCode.STALE_MEGAFLOW])
def test_a_loss_that_somebody_told_of_asks_nothing(code: CauseCode) -> None:
    suspicions = Suspicions()
    suspicions.notice(way(), replace(LOST, code=code))
    assert suspicions.begin(1, TOPOLOGY, 7.0, 5.0) == ()


def test_an_answer_is_waited_for_but_not_for_ever_and_only_where_there_is_somebody_to_ask() -> None:
    suspicions = Suspicions()
    suspicions.notice(way(), LOST)
    assert suspicions.begin(1, Topology(), 7.0, 5.0) == ()
    assert not suspicions.awaits(7.0)
    suspicions.notice(way(), LOST)
    suspicions.begin(1, TOPOLOGY, 7.0, 5.0)
    assert suspicions.awaits(11.9)
    assert not suspicions.awaits(12.1)


def test_questions_are_bounded() -> None:
    suspicions = Suspicions()
    for port in range(2 * MOST_QUESTIONS):
        suspicions.notice(way(port=port), LOST)
    asked = suspicions.begin(1, TOPOLOGY, 7.0, 5.0)
    assert [len(command.questions) for command in asked] == [MOST_QUESTIONS]
    answer(suspicions, asked, 7.0)
    suspicions.notice(way(9.0), LOST)
    assert suspicions.begin(1, TOPOLOGY, 10.0, 5.0) == ()


@pytest.fixture
def world() -> World:
    found = World(CS1, CS2, GW)
    switch = Bridge(BridgeId("leaf1", "leaf1"), 9, BridgeRole.UNDERLAY, (), ManagementSocket("/leaf1/leaf1.mgmt"))
    found.session.fleet.topology = replace(found.topology, bridges=(*found.topology.bridges, switch))
    found.claim(tcp_to_db())
    return found


def lose(world: World) -> None:
    packet = headers()
    world.feed_all((world.entering(packet), world.leaving(packet)))
    world.wait(PATIENCE)


def test_datapaths_are_read_before_the_underlay_is_searched(world: World) -> None:
    lose(world)
    asked = [one for one in world.transcript if isinstance(one, ReadDatapaths | SearchUnderlay)]
    assert [type(one) for one in asked] == [ReadDatapaths, SearchUnderlay]
    assert world.result.verdict.code is CauseCode.UNDERLAY_LOSS
    assert any("contradicts" in fact.sentence for fact in world.result.verdict.evidence)


def test_a_datapath_that_contradicts_its_tables_is_the_answer_and_nothing_more_is_searched(world: World) -> None:
    world.datapaths.stale["cs2"] = DROPS
    lose(world)
    assert world.states()[-1] is TaskState.DONE
    verdict = world.result.verdict
    assert (verdict.code, verdict.culprit) == (CauseCode.STALE_MEGAFLOW, Culprit("cs2", CS2))
    assert not any(isinstance(one, SearchUnderlay) for one in world.transcript)


def test_datapaths_that_do_not_answer_hold_up_the_end_no_longer_than_allowed(world: World) -> None:
    world.deaf = True
    lose(world)
    world.wait(PATIENCE)
    assert world.states()[-1] is TaskState.DONE
    assert any("is not known" in fact.sentence for fact in world.result.verdict.evidence)


@pytest.mark.parametrize(("used_at", "told"), [(START + 3, True), (START + 1, False)])
def test_packets_that_the_first_datapath_takes_before_they_are_seen_are_told_in_a_note(
    used_at: float, told: bool
) -> None:
    world = World(CS1, CS2)
    world.datapaths.stale["cs1"] = replace(DROPS, used_at=used_at, outer=False)
    world.claim(tcp_to_db(packet_count=5, trace_time=6))
    world.feed_all(world.whole_way(headers()))
    world.wait(PATIENCE)
    assert world.states()[-1] is TaskState.DONE
    assert world.result.verdict.disposition is Disposition.DELIVERED
    assert any("later packets came to cs1 and are not traced" in note for note in world.result.notes) is told
    assert sum(isinstance(one, ReadDatapaths) for one in world.transcript) == 1, "a pause is looked into once"


def test_traffic_that_keeps_coming_is_not_looked_into() -> None:
    world = World(CS1, CS2)
    world.claim(tcp_to_db(packet_count=5))
    for number in range(5):
        world.feed_all(world.whole_way(headers(ip_id=number)))
        world.wait(QUIET / 2)
    assert not any(isinstance(one, ReadDatapaths) for one in world.transcript)
