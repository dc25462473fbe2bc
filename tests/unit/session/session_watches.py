"""Turns a bridge whose flows somebody takes out into what it tells of them, by what is watched there."""

from session_world import World

from vtrace_ovs.model.flow import FlowMod, RemovedFlow, Watch
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Command, WatchFlows
from vtrace_ovs.session.events import FlowsRemoved


def watches_on(world: World, bridge: BridgeId) -> tuple[Watch, ...]:
    asked = (command for command in reversed(world.transcript) if isinstance(command, WatchFlows))
    return next((command.watches for command in asked if command.bridge == bridge), ())


def wipe(world: World, bridge: BridgeId) -> tuple[Command, ...]:
    """Somebody takes out all our flows there, and the bridge tells; returns what is done about it."""
    gone, world.flows[bridge] = world.flows[bridge], {}
    watches = watches_on(world, bridge)
    told = (mod for mod in gone.values() if any(_watched(mod, watch) for watch in watches))
    return world.feed(FlowsRemoved(world.now, bridge, tuple(RemovedFlow(mod.key, mod.cookie) for mod in told)))


def _watched(mod: FlowMod, watch: Watch) -> bool:
    return mod.table_id == watch.table_id and frozenset(watch.match.fields) <= frozenset(mod.match.fields)
