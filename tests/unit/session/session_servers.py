"""Turns a question to servers into their answers: each has as many megaflows as flows of ours."""

from collections.abc import Collection, Mapping, Sized

from vtrace_ovs.model.cost import ServerReading
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import ObserveServers
from vtrace_ovs.session.events import ServerObserved


def observed(
    command: ObserveServers, flows: Mapping[BridgeId, Sized], mute: Collection[BridgeId], at: float
) -> tuple[ServerObserved, ...]:
    """What those say that are not mute."""
    return tuple(
        ServerObserved(
            at, command.task_id, command.moment, bridge.id.node, ServerReading(at, megaflows=len(flows[bridge.id]))
        )
        for bridge in command.bridges
        if bridge.id not in mute
    )
