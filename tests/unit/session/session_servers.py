"""Turns a question to servers into their answers: each has as many megaflows as flows of ours, and one zone, full."""

from collections.abc import Collection, Mapping, Sized

from vtrace_ovs.model.cost import FullZone, ServerReading
from vtrace_ovs.model.datapath import Contradiction, DatapathReading
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import ObserveServers, ReadDatapaths
from vtrace_ovs.session.events import DatapathsRead, ServerObserved


def observed(
    command: ObserveServers, flows: Mapping[BridgeId, Sized], mute: Collection[BridgeId], at: float
) -> tuple[ServerObserved, ...]:
    """What those say that are not mute."""
    zones = (FullZone(7, 1, 1),) if command.zones else None
    readings = {
        bridge.id: ServerReading(at, megaflows=len(flows[bridge.id]), full_zones=zones) for bridge in command.bridges
    }
    return tuple(
        ServerObserved(at, command.task_id, command.moment, bridge.node, reading)
        for bridge, reading in readings.items()
        if bridge not in mute
    )


class Datapaths:
    """Those of all servers. ``stale``: what one does against its tables; the others follow them."""

    def __init__(self) -> None:
        self.stale: dict[str, Contradiction] = {}

    def read(self, command: ReadDatapaths, at: float) -> DatapathsRead:
        """What they say."""
        found = ((question, self.stale.get(question.node)) for _, question in command.questions)
        readings = (DatapathReading(question, at, 1, 0, (one,) if one else ()) for question, one in found)
        return DatapathsRead(at, command.task_id, tuple(readings))
