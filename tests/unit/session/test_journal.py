"""A packet is judged by the tables of its moment (idea N4)."""

from dataclasses import replace
from itertools import pairwise

import pytest
from session_network import CS1, CS2, DB, VM_PORT, flow, headers, ssh, tcp_to_db, through_the_tunnel, toward
from session_world import World

from vtrace_ovs.diagnosis.scene import FlowLife
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.trajectory import Ending, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.journal import MOST_KEPT, SLACK, Journal
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.walker.network import Network

INTERVAL = SessionSettings().peek_interval
DENY = flow(50, toward(DB), cookie=0x33)
MISS = flow(0, Match())


def tables(at: float, *flows: Flow) -> BridgeTables:
    return BridgeTables(1, at, flows)


def passed(since: float, until: float) -> Trajectory:
    return Trajectory(1, "p", 0, Origin.OBSERVED, None, (), Ending.OPEN, first_seen=since, last_seen=until)


@pytest.mark.parametrize(
    ("age", "times"),
    [
        (3.0, {105.0: "old", 105.9: "old", 107.0: "old or new", 108.1: "new", 120.0: "new"}),
        (100.0, {98.0: "old", 104.0: "old or new", 110.1: "new"}),  # older than the last look: it was another table
    ],
)
def test_a_new_flow_tells_since_when_it_is_there(age: float, times: dict[float, str], world: World) -> None:
    old, new = tables(100.0, MISS), tables(110.0, MISS, replace(DENY, duration=age))
    journal = Journal(began=90.0)
    journal.changed(CS1, old, new, 100.0)
    now = Network.build(world.topology, {CS1: new})
    said = {}
    for at in times:
        networks = journal.networks(passed(at, at), now)
        found = [None if one is None else len(one.views[CS1].tables.flows) for one in networks]
        said[at] = " or ".join({1: "old", 2: "new"}[count] for count in found if count)
    assert said == times


def test_what_became_of_flows_is_told_from_where_tracing_began() -> None:
    changed = replace(DENY, cookie=0x44)
    journal = Journal(began=100.0)
    journal.changed(CS1, tables(101.0, MISS), tables(103.0, MISS, replace(DENY, duration=0.5)), 101.0)
    assert journal.lives == {(CS1, DENY.key): FlowLife(added=2.5)}
    journal.changed(CS1, tables(103.0, MISS, DENY), tables(105.0, MISS, changed), 104.0)
    assert journal.lives == {(CS1, DENY.key): FlowLife(changed=(4.0 - SLACK, 5.0))}
    journal.changed(CS1, tables(105.0, MISS, changed), tables(107.0, MISS), 106.0)
    assert journal.lives == {(CS1, DENY.key): FlowLife(removed=(6.0 - SLACK, 7.0))}


def test_where_many_bridges_changed_at_once_nothing_is_predicted(world: World) -> None:
    old, new = tables(100.0, MISS), tables(110.0, MISS, DENY)
    journal = Journal()
    bridges = [bridge.id for bridge in world.topology.bridges]
    for number in range(4):
        for bridge in bridges:
            journal.changed(bridge, old, replace(new, read_at=110.0 + number), 100.0)
    now = Network.build(world.topology, dict.fromkeys(bridges, new))
    assert journal.networks(passed(109.5, 112.0), now) == (None,)
    assert journal.networks(passed(10.0, 12.0), now) != (None,)


def test_of_a_bridge_that_changes_on_and_on_only_the_last_tables_are_kept(world: World) -> None:
    journal = Journal()
    versions = [tables(10.0 * number, flow(number, toward(DB))) for number in range(MOST_KEPT + 3)]
    for old, new in pairwise(versions):
        journal.changed(CS1, old, new, old.read_at)
    now = Network.build(world.topology, {CS1: versions[-1]})
    assert len(journal.changes[CS1]) == MOST_KEPT
    assert journal.networks(passed(15.0, 15.0), now) == (None,)
    (network,) = journal.networks(passed(180.5, 180.5), now)
    assert network is now


def silent(world: World, ip_id: int) -> None:
    """A packet enters cs1 and is not seen again."""
    world.feed(world.entering(headers(ip_id=ip_id)))


def fates(world: World) -> set[tuple[Disposition, CauseCode]]:
    return {(group.verdict.disposition, group.verdict.code) for group in world.result.groups}


def test_a_rule_that_denies_from_some_moment_on_is_blamed_for_packets_from_then_on_only(world: World) -> None:
    world.claim(tcp_to_db(packet_count=9))
    silent(world, 1)
    world.wait(4)
    assert fates(world) == {(Disposition.LOST_IN_VFD, CauseCode.UNKNOWN)}
    world.wait(4)
    world.rewrite(CS1, replace(DENY, duration=INTERVAL / 2), *world.production[CS1])
    world.wait(INTERVAL + 0.5)
    world.rewrite(CS1, *world.production[CS1])
    silent(world, 2)
    world.wait(4)
    assert fates(world) == {
        (Disposition.LOST_IN_VFD, CauseCode.UNKNOWN),
        (Disposition.DROPPED, CauseCode.EXPLICIT_DROP),
    }
    (dropped,) = [group.verdict for group in world.result.groups if group.verdict.disposition is Disposition.DROPPED]
    assert "s after tracing began" in dropped.operator_sentence
    assert dropped.culprit is not None
    assert dropped.culprit.flow == DENY.key


def test_a_packet_that_came_as_the_tables_changed_is_not_judged_by_either(world: World) -> None:
    world.claim(tcp_to_db(packet_count=9))
    world.wait(4)
    silent(world, 1)
    world.rewrite(CS1, DENY, *world.production[CS1])
    world.wait(5)
    assert fates(world) == {(Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST)}


def test_a_flow_that_is_gone_is_still_named(world: World) -> None:
    world.claim(tcp_to_db(22, packet_count=9))
    plan = world.plan(CS1)
    assert plan is not None
    (deny,) = [probe for probe in plan.probes if probe.flow is not None and probe.flow.match == ssh()]
    packet = headers(port=22)
    world.feed_all((world.entering(packet), world.copy(CS1, deny, world.state(1), packet, in_port=VM_PORT)))
    world.rewrite(CS1, *(kept for kept in world.production[CS1] if kept.match != ssh()))
    world.wait(INTERVAL + 0.5)
    verdict = world.result.verdict
    assert verdict.disposition is Disposition.DROPPED
    assert verdict.culprit is not None
    assert verdict.culprit.flow is not None
    assert verdict.culprit.flow.match == ssh()
    assert verdict.culprit.cookie == 0x22
    assert "That flow is gone: it was removed between" in verdict.operator_sentence


def test_a_clone_that_goes_with_its_flow_does_not_invalidate_the_trace(world: World) -> None:
    world.claim(tcp_to_db(packet_count=9, trace_time=60))
    route = through_the_tunnel(DB, world.topology.nodes[1].vteps[0])
    (clone,) = [
        key
        for key, mod in world.flows[CS1].items()
        if key.priority == route.priority + 1 and set(route.match.fields) <= set(mod.match.fields)
    ]
    del world.flows[CS1][clone]
    world.rewrite(CS1, *(kept for kept in world.production[CS1] if kept.key != route.key))
    world.wait(INTERVAL + 0.5)
    assert world.session.runs[1].invalidated is None
    del world.flows[CS2][next(iter(world.flows[CS2]))]
    world.wait(INTERVAL + 0.5)
    assert any("somebody removed" in note for note in world.result.notes)
