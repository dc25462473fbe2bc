"""Turns what a bridge should hold, old and new, into the fewest ovs-ofctl(8) lines that lead from one to the other."""

from collections.abc import Iterable
from dataclasses import dataclass

from vtrace_ovs.model.packet import IpFamily

FAMILY_WORDS = {IpFamily.IPV4: "ip", IpFamily.IPV6: "ipv6"}
"""What ovs-ofctl calls all traffic of a family."""


@dataclass(frozen=True, slots=True)
class FlowLine:
    """One flow in ovs-ofctl syntax. Table, priority and match are its key."""

    table_id: int
    priority: int
    match: str
    actions: str
    cookie: int

    @property
    def key(self) -> tuple[int, int, str]:
        """What OpenFlow replaces it by."""
        return (self.table_id, self.priority, self.match)

    @property
    def selector(self) -> str:
        """Table, priority and match as ovs-ofctl writes them."""
        return ",".join(filter(None, (f"table={self.table_id}", f"priority={self.priority}", self.match)))

    def add_line(self) -> str:
        """The bundle line that adds or replaces it."""
        return f"add {self.selector},cookie={self.cookie:#x},actions={self.actions}"

    def delete_line(self) -> str:
        """The bundle line that deletes exactly it."""
        return f"delete_strict {self.selector}"


@dataclass(frozen=True, slots=True)
class MeterLine:
    """One meter with a drop band: of packets/s and packets, or of kbit/s and kbit."""

    meter_id: int
    rate: int
    burst: int
    packets: bool = True

    def text(self) -> str:
        """The meter in ovs-ofctl syntax."""
        unit = "pktps" if self.packets else "kbps"
        return f"meter={self.meter_id},{unit},burst,stats,bands=type=drop,rate={self.rate},burst_size={self.burst}"


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One group; ``body`` is its type and buckets in ovs-ofctl syntax."""

    group_id: int
    body: str

    def text(self) -> str:
        """The group in ovs-ofctl syntax."""
        return f"group_id={self.group_id},{self.body}"


@dataclass(frozen=True, slots=True)
class BridgeProgram:
    """Everything a controller keeps in one bridge."""

    flows: tuple[FlowLine, ...] = ()
    meters: tuple[MeterLine, ...] = ()
    groups: tuple[GroupLine, ...] = ()

    @staticmethod
    def of(
        flows: Iterable[FlowLine], meters: Iterable[MeterLine] = (), groups: Iterable[GroupLine] = ()
    ) -> "BridgeProgram":
        """A program; of flows with equal keys the first counts."""
        by_key: dict[tuple[int, int, str], FlowLine] = {}
        for flow in flows:
            by_key.setdefault(flow.key, flow)
        return BridgeProgram(tuple(by_key.values()), tuple(meters), tuple(groups))


EMPTY_PROGRAM = BridgeProgram()


@dataclass(frozen=True, slots=True)
class ProgramChange:
    """What to do to a bridge, in this order.

    Meters and groups to add or modify, the flow bundle, meters and groups to delete.
    """

    added_meters: tuple[MeterLine, ...]
    modified_meters: tuple[MeterLine, ...]
    set_groups: tuple[GroupLine, ...]
    flow_bundle: str
    deleted_meters: tuple[int, ...]
    deleted_groups: tuple[int, ...]


def change(old: BridgeProgram, new: BridgeProgram) -> ProgramChange:
    """What leads from ``old`` to ``new``. Flows of anybody else stay untouched."""
    old_flows = {flow.key: flow for flow in old.flows}
    new_flows = {flow.key: flow for flow in new.flows}
    old_meters = {meter.meter_id: meter for meter in old.meters}
    new_meters = {meter.meter_id: meter for meter in new.meters}
    lines = [flow.delete_line() for key, flow in old_flows.items() if key not in new_flows]
    lines += [flow.add_line() for key, flow in new_flows.items() if old_flows.get(key) != flow]
    return ProgramChange(
        added_meters=tuple(meter for key, meter in new_meters.items() if key not in old_meters),
        modified_meters=tuple(
            meter for key, meter in new_meters.items() if key in old_meters and old_meters[key] != meter
        ),
        set_groups=tuple(group for group in new.groups if group not in old.groups),
        flow_bundle="".join(f"{line}\n" for line in lines),
        deleted_meters=tuple(key for key in old_meters if key not in new_meters),
        deleted_groups=tuple(
            group.group_id for group in old.groups if group.group_id not in {kept.group_id for kept in new.groups}
        ),
    )
