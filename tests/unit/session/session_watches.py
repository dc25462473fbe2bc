"""Turns a bridge whose flows somebody takes out or writes over into what it tells of them, by what is watched there."""

from collections.abc import Iterable
from dataclasses import replace

from session_world import World

from vtrace_ovs.model.flow import ALL_TABLES, ChangedFlow, FlowChange, FlowMod, Watch
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Command, WatchFlows
from vtrace_ovs.session.events import FlowsChanged

THEIRS = 0x22


def watches_on(world: World, bridge: BridgeId) -> tuple[Watch, ...]:
    asked = (command for command in reversed(world.transcript) if isinstance(command, WatchFlows))
    return next((command.watches for command in asked if command.bridge == bridge), ())


def wipe(world: World, bridge: BridgeId) -> tuple[Command, ...]:
    """Somebody takes out all our flows there, and the bridge tells; returns what is done about it."""
    gone, world.flows[bridge] = world.flows[bridge], {}
    watches = watches_on(world, bridge)
    told = (mod for mod in gone.values() if is_watched(watches, FlowChange.REMOVED, mod))
    removed = tuple(ChangedFlow(FlowChange.REMOVED, mod.key, mod.cookie) for mod in told)
    return world.feed(FlowsChanged(world.now, bridge, removed))


def change(world: World, bridge: BridgeId, how: FlowChange, mod: FlowMod) -> tuple[Command, ...]:
    """Somebody gives this flow of ours other actions, and, putting it in anew, another cookie; the bridge tells."""
    assert is_watched(watches_on(world, bridge), how, mod)
    theirs = replace(mod, cookie=THEIRS if how is FlowChange.ADDED else mod.cookie, instructions=())
    world.flows[bridge][mod.key] = theirs
    return world.feed(FlowsChanged(world.now, bridge, (ChangedFlow(how, theirs.key, theirs.cookie),)))


def is_watched(watches: Iterable[Watch], how: FlowChange, mod: FlowMod) -> bool:
    return any(
        how in watch.changes
        and watch.table_id in (mod.table_id, ALL_TABLES)
        and frozenset(watch.match.fields) <= frozenset(mod.match.fields)
        for watch in watches
    )
