"""Somebody else takes flows of ours out while a trace runs: it is said, and nothing is concluded from silence."""

from dataclasses import replace

import pytest
from session_network import CS1, CS2, GW, headers, tcp_to_db
from session_watches import change, watches_on, wipe
from session_world import World

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import ChangedFlow, Flow, FlowChange, FlowMod
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.session import bridges
from vtrace_ovs.session.commands import UNAWAITED, Program, ReadBridge, SaveSamples, WriteIntents
from vtrace_ovs.session.events import FlowsChanged, IntentsWritten
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.session.wiping import Staying, loss

INTERVAL = SessionSettings().peek_interval
LONG = 20.0


def plan_on(world: World, bridge: BridgeId) -> BridgePlan:
    plan = world.plan(bridge)
    assert plan is not None
    return plan


def as_read(mod: FlowMod) -> Flow:
    return Flow(mod.table_id, mod.priority, mod.match, mod.instructions, mod.cookie)


@pytest.mark.parametrize("bridge", [CS1, CS2, GW])
def test_it_is_noticed_within_seconds_and_ends_the_task_as_invalidated(world: World, bridge: BridgeId) -> None:
    world.claim(tcp_to_db(trace_time=60))
    world.flows[bridge].clear()
    world.wait(INTERVAL + 0.5 + SessionSettings().drain)
    (end,) = [saved for saved in world.saved() if saved.state.final]
    assert end.state is TaskState.INVALIDATED
    assert (end.reason or "").startswith(f"{bridge}: somebody removed ")
    assert end.reason in world.result.notes
    assert world.clean
    assert world.session.idle


def test_a_packet_that_is_not_seen_to_arrive_there_is_not_called_lost(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    packet = headers()
    world.flows[CS2].clear()
    world.feed_all((world.entering(packet), world.leaving(packet)))
    world.wait(LONG)
    assert world.result.verdict.disposition is Disposition.INCONCLUSIVE
    assert world.states()[-1] is TaskState.INVALIDATED
    assert world.clean


def test_silence_of_a_source_whose_flows_are_gone_does_not_prove_that_nothing_was_sent(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    world.flows[CS1].clear()
    world.wait(LONG)
    assert world.result.verdict.disposition is Disposition.UNSEEN
    assert "not sent" not in world.result.verdict.operator_sentence


def test_one_flow_is_enough(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    (source, *_) = plan_on(world, CS1).sources
    del world.flows[CS1][source.key]
    world.wait(INTERVAL + 1.0)
    assert world.states()[-1] is TaskState.INVALIDATED


def test_what_was_seen_before_stands(world: World) -> None:
    world.claim(tcp_to_db(packet_count=5, trace_time=60))
    world.feed_all(world.whole_way(headers()))
    world.flows[CS2].clear()
    world.wait(LONG)
    assert world.result.verdict.disposition is Disposition.DELIVERED
    assert world.states()[-1] is TaskState.INVALIDATED


def test_every_task_on_the_bridge_is_invalidated_and_the_next_one_finds_a_clean_bridge(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    world.claim(tcp_to_db(port=80, trace_time=60), number=2)
    world.flows[CS2].clear()
    world.wait(LONG)
    assert (world.states(1)[-1], world.states(2)[-1]) == (TaskState.INVALIDATED, TaskState.INVALIDATED)
    world.claim(tcp_to_db(), number=3)
    world.feed_all(world.whole_way(headers(), slot=world.session.runs[3].slot))
    world.wait(1.0)
    assert world.states(3)[-1] is TaskState.DONE


def test_a_look_is_no_sample_and_comes_only_while_packets_are_collected(world: World) -> None:
    world.wait(LONG)
    assert world.told(ReadBridge) == []
    world.claim(tcp_to_db(trace_time=60))
    world.told()
    world.wait(INTERVAL + 0.1)
    assert world.told(ReadBridge, SaveSamples) == ["read cs1/br", "read cs2/br", "read gw/br"]


def test_many_bridges_take_turns_and_a_large_one_has_none(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    sizes = {bridge: len(state.tables.flows) for bridge, state in world.session.fleet.states.items() if state.tables}
    monkeypatch.setattr(bridges, "PEEKED_FLOWS", max(sizes.values()))
    world.told()
    world.wait(4 * INTERVAL + 0.5)
    looks = world.told(ReadBridge)
    assert {"read cs1/br", "read cs2/br", "read gw/br"} == set(looks)
    monkeypatch.setattr(bridges, "PEEKED_FLOWS", max(sizes.values()) - 1)
    world.wait(3 * INTERVAL)
    assert "read cs1/br" not in world.told(ReadBridge)


def test_flows_on_their_way_out_or_out_of_time_are_not_missed(world: World) -> None:
    world.claim(tcp_to_db())
    plan = plan_on(world, CS1)
    slots, before = {world.session.runs[1].slot}, plan.outlet_deadline - 1
    everything = (*plan.sinks, *plan.sources)
    assert Staying.between(plan, plan).expected(slots, before) == everything
    assert Staying.between(plan, plan).expected((), before) == plan.sinks
    assert Staying.between(plan, replace(plan, sources=())).expected(slots, before) == plan.sinks
    assert Staying.between(plan, None).expected(slots, before) == ()
    assert Staying.between(plan, plan).expected(slots, plan.outlet_deadline) == ()
    assert loss(everything, map(as_read, everything)) is None
    assert "1 of our" in (loss(everything, map(as_read, everything[1:])) or "")


@pytest.mark.parametrize("bridge", [CS1, CS2, GW])
def test_a_bridge_that_tells_ends_all_coloring_at_once(world: World, bridge: BridgeId) -> None:
    world.claim(tcp_to_db(trace_time=60))
    world.hold_intents = True
    first, *_ = wipe(world, bridge)
    assert isinstance(first, Program)
    assert (first.bridge, first.batch) == (CS1, UNAWAITED)
    assert not world.sources(CS1)


@pytest.mark.parametrize("how", [FlowChange.ADDED, FlowChange.MODIFIED])
def test_a_flow_of_ours_that_is_written_over_ends_all_coloring_at_once(world: World, how: FlowChange) -> None:
    world.claim(tcp_to_db(trace_time=60))
    mark = next(mod for mod in plan_on(world, CS2).sinks if mod.table_id == 0)
    first, *_ = change(world, CS2, how, mark)
    assert isinstance(first, Program)
    assert (first.bridge, first.batch) == (CS1, UNAWAITED)
    world.wait(SessionSettings().drain + 0.5)
    (end,) = [saved for saved in world.saved() if saved.state.final]
    assert end.state is TaskState.INVALIDATED
    assert (end.reason or "").startswith("cs2/br: somebody changed flows of ours ")
    assert ("(with cookie 0x22)" in (end.reason or "")) is (how is FlowChange.ADDED)
    assert end.reason in world.result.notes


def test_a_clone_that_is_modified_with_its_original_does_not_make_packets_look_lost(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    clone = next(
        mod for mod in plan_on(world, CS2).sinks if (c := Cookie.of(mod.cookie)) and c.kind is CookieKind.CLONE
    )
    packet = headers()
    world.wait(0.1)
    world.feed_all((world.entering(packet), world.leaving(packet), world.arriving(packet)))
    change(world, CS2, FlowChange.MODIFIED, clone)
    world.wait(LONG)
    assert world.result.verdict.disposition is Disposition.INCONCLUSIVE
    assert world.states()[-1] is TaskState.INVALIDATED


def test_the_task_ends_as_invalidated_and_leaves_nothing(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    world.told()
    wipe(world, CS2)
    assert "read cs2/br" in world.told(ReadBridge), "what flows there are made from may have gone as well"
    world.wait(SessionSettings().drain + 0.5)
    (end,) = [saved for saved in world.saved() if saved.state.final]
    assert end.state is TaskState.INVALIDATED
    assert (end.reason or "").startswith("cs2/br: somebody removed ")
    assert [note for note in world.result.notes if "removed" in note] == [end.reason]
    assert world.clean
    assert not any(watches_on(world, bridge) for bridge in (CS1, CS2, GW))


def test_what_is_not_seen_after_that_is_not_called_lost(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    packet = headers()
    world.wait(0.1)
    world.feed_all((world.entering(packet), world.leaving(packet)))
    wipe(world, CS2)
    world.wait(LONG)
    assert world.result.verdict.disposition is Disposition.INCONCLUSIVE


def test_a_bridge_that_tells_while_tasks_are_armed_ends_them_once_they_are(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    world.hold_intents = True
    world.claim(tcp_to_db(port=80, trace_time=60), number=2)
    wipe(world, CS2)
    assert not world.sources(CS1)
    world.hold_intents = False
    (*_, last) = (command for command in world.transcript if isinstance(command, WriteIntents))
    world.feed(IntentsWritten(world.now, last.batch))
    world.wait(LONG)
    assert [world.states(number)[-1] for number in (1, 2)] == [TaskState.INVALIDATED] * 2
    assert world.clean


def test_flows_that_are_not_to_stay_may_go(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    old = plan_on(world, CS2)
    theirs = ChangedFlow(FlowChange.REMOVED, world.production[CS2][0].key, 0)
    assert world.feed(FlowsChanged(world.now, CS2, (theirs,))) == ()
    assert world.feed(FlowsChanged(world.now, BridgeId("nowhere", "br"), (theirs,))) == ()
    world.cancel()
    world.wait(LONG)
    world.told()
    world.feed(
        FlowsChanged(world.now, CS2, tuple(ChangedFlow(FlowChange.REMOVED, mod.key, mod.cookie) for mod in old.sinks))
    )
    assert world.told() == []


def test_a_bridge_that_is_armed_anew_is_watched_anew(world: World) -> None:
    world.claim(tcp_to_db(trace_time=60))
    world.down(CS2)
    world.wait(1.0)
    world.told()
    world.up(CS2)
    assert "watch cs2/br" in world.told()
