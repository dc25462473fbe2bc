"""Turns a Topology and the stored tables of its bridges into a Network: everything a walk looks up, indexed once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from vtrace_ovs.model.actions import OFPP_ANY, OFPP_LOCAL, Action, ApplyActions, Clone, Exit
from vtrace_ovs.model.flow import BridgeTables, Flow, GroupEntry, PortDescription
from vtrace_ovs.model.mac_table import MacTable
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.topology import Bridge, BridgeId, PortKind, Topology
from vtrace_ovs.walker.conjunctions import indexed
from vtrace_ovs.walker.index import TableIndex
from vtrace_ovs.walker.state import canonical_port

_MAX_GROUP_NESTING = 32


class PortState(Enum):
    """Whether an output to a port can leave."""

    UP = "up"
    DOWN = "down"
    NO_FORWARD = "no-forward"
    GONE = "gone"


def _state_of(port: PortDescription) -> PortState:
    if port.link_down or port.admin_down:
        return PortState.DOWN
    return PortState.NO_FORWARD if port.no_forward else PortState.UP


def keep_all(_flow: Flow) -> bool:
    """Ignore nothing."""
    return False


class TableIndexes(dict[int, TableIndex]):
    """Table ids to their indexes, each made when it is first asked for; a table without flows matches nothing.

    Indexes of ``before`` whose tables have the same flows, but for counters, are taken over: a changed flow costs the
    index of its table.
    """

    def __init__(self, flows: Mapping[int, Sequence[Flow]], before: "TableIndexes | None" = None) -> None:
        super().__init__()
        self._flows = flows
        for table_id, index in () if before is None else before.items():
            if before is not None and before.flows(table_id) == self.flows(table_id):
                self[table_id] = index

    def flows(self, table_id: int) -> Sequence[Flow]:
        """The flows of a table, in the order they were read."""
        return self._flows.get(table_id, ())

    def __missing__(self, table_id: int) -> TableIndex:
        index = self[table_id] = indexed(table_id, self.flows(table_id))
        return index


def _runs_exit(actions: tuple[Action, ...]) -> bool:
    return any(isinstance(each, Exit) or (isinstance(each, Clone) and _runs_exit(each.nested)) for each in actions)


class BridgeView:
    """One bridge's tables, ready to be searched.

    ``mac_table`` is what it has learned, None when nobody asked: then output to NORMAL is not predicted. ``before`` is
    the view of an earlier reading.
    """

    __slots__ = ("_deaf", "_exits", "_groups", "_patches", "_ports", "indexes", "mac_table", "tables")

    def __init__(
        self,
        tables: BridgeTables,
        bridge: Bridge | None = None,
        ignore: Callable[[Flow], bool] = keep_all,
        mac_table: MacTable | None = None,
        before: "BridgeView | None" = None,
    ) -> None:
        self.tables = tables
        self.mac_table = mac_table
        flows: dict[int, list[Flow]] = {}
        for flow in tables.flows:
            if not ignore(flow):
                flows.setdefault(flow.table_id, []).append(flow)
        self.indexes: TableIndexes = TableIndexes(flows, None if before is None else before.indexes)
        self._exits: bool | None = None
        self._groups = {group.group_id: group for group in tables.groups}
        self._patches = frozenset(
            canonical_port(port.ofport)
            for port in (() if bridge is None else bridge.ports)
            if port.kind is PortKind.PATCH
        )
        self._ports = {canonical_port(port.ofport): _state_of(port) for port in tables.ports}
        self._deaf = frozenset(canonical_port(port.ofport) for port in tables.ports if port.no_receive)
        if not tables.ports and bridge is not None:
            self._ports = {canonical_port(port.ofport): PortState.UP for port in bridge.ports}

    @property
    def exits(self) -> bool:
        """Whether anything in these tables runs ``exit``; looked for when first asked."""
        if self._exits is None:
            flows = {flow.instructions for flow in self.tables.flows}
            lists = [each.actions for one in flows for each in one if isinstance(each, ApplyActions)]
            lists += [bucket.actions for group in self.tables.groups for bucket in group.buckets]
            self._exits = any(map(_runs_exit, lists))
        return self._exits

    def group(self, group_id: int) -> GroupEntry | None:
        """The group of this id."""
        return self._groups.get(group_id)

    def port_state(self, port: int) -> PortState:
        """The state of a port. When nobody stored this bridge's ports, every port is taken to be up."""
        if not self._ports or (port == OFPP_LOCAL and port not in self._ports):
            return PortState.UP
        return self._ports.get(port) or PortState.GONE

    def receives(self, port: int) -> bool:
        """Whether packets that come by a port are looked at."""
        return port not in self._deaf

    def is_patch(self, port: int) -> bool:
        """Whether a port leads into another bridge of the same server, as far as the inventory tells."""
        return port in self._patches

    def flooded(self) -> tuple[int, ...] | None:
        """Every port that is up, LOCAL too, in order; None when nobody stored this bridge's ports."""
        if not self._ports:
            return None
        ports = {OFPP_LOCAL, *self._ports}
        return tuple(port for port in sorted(ports) if self.port_state(port) is PortState.UP)

    def bucket_live(self, watch_port: int, watch_group: int, depth: int = 0) -> bool:
        """Whether a bucket is live: it watches nothing, or a port that is up, or a group with a live bucket."""
        if watch_port == OFPP_ANY and watch_group == OFPP_ANY:
            return True
        if watch_port != OFPP_ANY and self.port_state(canonical_port(watch_port)) is PortState.UP:
            return True
        group = None if watch_group == OFPP_ANY or depth > _MAX_GROUP_NESTING else self.group(watch_group)
        return group is not None and any(
            self.bucket_live(bucket.watch_port, bucket.watch_group, depth + 1) for bucket in group.buckets
        )


@dataclass(frozen=True, slots=True)
class Network:
    """What a walk may know. A bridge missing from ``views`` is in the inventory, but nobody stored its tables."""

    places: Places
    views: Mapping[BridgeId, BridgeView]

    @staticmethod
    def build(
        topology: Topology,
        tables: Mapping[BridgeId, BridgeTables],
        ignore: Callable[[Flow], bool] = keep_all,
        mac_tables: Mapping[BridgeId, MacTable] = MappingProxyType({}),
        before: "Network | None" = None,
    ) -> "Network":
        """Index the stored tables. ``ignore`` tells which flows are our own instrumentation and left out.

        ``mac_tables`` are what bridges that use NORMAL have learned, where somebody asked them. Of ``before``, made of
        earlier readings, the indexes of tables that are still the same are kept.
        """
        known: Mapping[BridgeId, BridgeView] = {} if before is None else before.views
        views = {
            bridge_id: BridgeView(
                stored, topology.bridge(bridge_id), ignore, mac_tables.get(bridge_id), known.get(bridge_id)
            )
            for bridge_id, stored in tables.items()
        }
        return Network(Places(topology), views)
