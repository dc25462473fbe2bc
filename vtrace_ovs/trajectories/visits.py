"""Turns the records of one packet_id into visits: one stay in one VFD, with the branches that left it."""

from collections import Counter
from collections.abc import Sequence

from vtrace_ovs.model.actions import OFPP_IN_PORT, OFPP_LOCAL, OFPP_MAX
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.places import NOWHERE, Onward, Places
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import BridgeId, PortKind

# Looking up an enum member costs 0.15 µs on Python 3.11, and this is done for every record.
_ERROR = Loc.ERROR
_SUPPRESSED = RecordMsg.SUPPRESSED.value
_ASIDE = RecordMsg.ASIDE.value
_TUNNEL = PortKind.TUNNEL
VFD = frozenset({0, 1})
"""How much of its TTL a packet loses in a VFD."""


class Branch:
    """One way out of a visit: an ``out`` or ``error`` record, or (``record`` None) one that a later hop proves."""

    __slots__ = ("children", "onward", "out_port", "record", "tunnel")

    def __init__(
        self, record: PacketInRecord | None, out_port: int | None, tunnel: Tunnel | None, onward: Onward
    ) -> None:
        self.record = record
        self.out_port = out_port
        self.tunnel = tunnel
        self.onward = onward
        self.children: tuple[Visit, ...] = ()

    @property
    def is_drop(self) -> bool:
        """Whether an ``error`` record ended the packet here."""
        return self.record is not None and self.record.loc is _ERROR

    @property
    def is_aside(self) -> bool:
        """Whether the packet was dropped in one branch of the pipeline, which others follow or went before."""
        return self.record is not None and self.record.msg == _ASIDE

    @property
    def is_suppressed(self) -> bool:
        """Whether Open vSwitch was about to output to the ingress port, which it does not do."""
        return not self.children and self.record is not None and self.record.msg == _SUPPRESSED


class Visit:
    """One stay of one packet in one VFD. ``arrival`` is its ``in`` record, None when there is none."""

    __slots__ = ("ambiguous", "arrival", "at", "branches", "bridge", "in_port", "linked", "mark", "tenant", "tunnel")

    def __init__(
        self,
        bridge: BridgeId,
        mark: int,
        in_port: int | None,
        at: float,
        arrival: PacketInRecord | None = None,
        tenant: str | None = None,
    ) -> None:
        self.bridge = bridge
        self.mark = mark
        self.in_port = in_port
        self.at = at
        self.arrival = arrival
        self.tunnel = None if arrival is None else arrival.tunnel
        self.tenant = tenant
        self.branches: tuple[Branch, ...] = ()
        self.linked = False
        self.ambiguous = False

    def first_record(self) -> PacketInRecord:
        """The record that came first on the way through here; a visit that only later ones prove has none itself."""
        if self.arrival is not None:
            return self.arrival
        for branch in self.branches:
            if branch.record is not None:
                return branch.record
        return self.branches[-1].children[-1].first_record()

    def has_branch_like(self, record: PacketInRecord) -> bool:
        """Whether this packet already ended or left in the same way, so that the record is a twin's."""
        for branch in self.branches:
            mine = branch.record
            if (
                mine is not None
                and mine.loc is record.loc
                and mine.out_port == record.out_port
                and (mine.loc is _ERROR or mine.tunnel == record.tunnel)
            ):
                return True
        return False


def arrived(record: PacketInRecord, places: Places) -> Visit:
    """The visit an ``in`` record opens."""
    tenant = places.tenant_of(record.bridge, record.in_port, record.tunnel)
    return Visit(record.bridge, record.dscp_mark, record.in_port, record.timestamp, record, tenant)


def settle(visits: list[Visit], endings: Sequence[PacketInRecord], places: Places) -> None:
    """Give each ``out`` and ``error`` record of one hop index (in time order) to the visit it ended or left.

    ``visits`` are those of the same hop index; a record that fits none of them opens a visit without an ``in``.
    """
    aligned = len(visits) <= 1 or _all_alike(visits, endings)
    for record in endings:
        branch = departed(record, places)
        if len(visits) == 1 and _plainly(visits[0], record, branch, places):
            visits[0].branches = (branch,)
            continue
        fitting = _candidates(visits, record, branch, places)
        if not fitting:
            visit = Visit(record.bridge, record.dscp_mark, record.in_port, record.timestamp)
            visit.tenant = _owner(record, branch, places)
            visits.append(visit)
        elif aligned or len(fitting) == 1:
            visit = fitting[0]
        else:
            visit = _closest(fitting, record)
            for twin in fitting:
                twin.ambiguous = True
        visit.branches += (branch,)


def settle_aside(visits: list[Visit], record: PacketInRecord, places: Places) -> None:
    """Give a drop in a branch of the pipeline to a visit nothing else is known to have ended; the last one counts.

    ``visits`` are those of the same hop index, to which all its other endings were given already.
    """
    here = [visit for visit in visits if visit.bridge == record.bridge]
    if not here:
        visits.append(Visit(record.bridge, record.dscp_mark, record.in_port, record.timestamp))
        here = visits[-1:]
    silent = [visit for visit in here if all(branch.is_aside for branch in visit.branches)]
    if silent:
        visit = min(silent, key=lambda one: (one.at > record.timestamp, abs(record.timestamp - one.at)))
        visit.branches = (departed(record, places),)
        visit.ambiguous = visit.ambiguous or len(here) > 1


def _plainly(visit: Visit, record: PacketInRecord, branch: Branch, places: Places) -> bool:
    """Whether a record belongs to the only visit there is: not ended before, and nothing tells their tenants apart."""
    if visit.in_port != record.in_port or visit.arrival is None or visit.branches:
        return False
    if visit.bridge is not record.bridge and visit.bridge != record.bridge:
        return False
    if visit.tunnel is None or visit.tenant is None:
        return True
    owner = _owner(record, branch, places)
    return owner is None or owner == visit.tenant


def departed(record: PacketInRecord, places: Places) -> Branch:
    """The branch an ``out`` or ``error`` record stands for."""
    if record.loc is _ERROR:
        return Branch(record, None, None, NOWHERE)
    out_port = record.in_port if record.out_port == OFPP_IN_PORT else record.out_port
    if out_port is None or (out_port >= OFPP_MAX and out_port != OFPP_LOCAL):
        return Branch(record, None, record.tunnel, NOWHERE)
    return Branch(record, out_port, record.tunnel, places.onward(record.bridge, out_port, record.tunnel))


def _owner(record: PacketInRecord, branch: Branch, places: Places) -> str | None:
    """Whose packet this is, judged by where it came from, else by where it goes."""
    port = places.port(record.bridge, record.in_port)
    if port is not None and port.kind is not _TUNNEL:  # only one tenant's traffic comes by such a port
        return places.tenant_of(record.bridge, record.in_port, None)
    if branch.tunnel is None and branch.out_port is None:
        return None
    return places.tenant_of(record.bridge, branch.out_port, branch.tunnel)


def _candidates(visits: list[Visit], record: PacketInRecord, branch: Branch, places: Places) -> list[Visit]:
    """Visits a record can belong to: same VFD, ingress port and tenant. A pipeline may have cleared in_port."""
    cleared = places.port(record.bridge, record.in_port) is None
    tenant = _owner(record, branch, places)
    vni = left_by_vni(record.bridge, branch, places)
    fitting = [
        visit
        for visit in visits
        if visit.bridge == record.bridge
        and (visit.in_port == record.in_port or cleared)
        and (tenant is None or visit.tenant is None or visit.tenant == tenant)
        and (visit.arrival is not None or _left_alike(visit, vni, places))
        and not visit.has_branch_like(record)
    ]
    if len(fitting) > 1:
        fitting = [visit for visit in fitting if visit.tunnel is not None and visit.tunnel.vni == vni] or fitting
        return [visit for visit in fitting if may_become(visit.arrival, record, VFD)] or fitting
    return fitting


def may_become(before: PacketInRecord | None, after: PacketInRecord | None, hops: frozenset[int]) -> bool:
    """Whether nothing tells two copies apart but that the TTL went down by one of ``hops``: a twin's may differ."""
    if before is None or after is None or before.headers.five_tuple != after.headers.five_tuple:
        return False
    one, other = before.headers.ttl, after.headers.ttl
    return one is None or other is None or one - other in hops


def left_by_vni(bridge: BridgeId, branch: Branch, places: Places) -> int | None:
    """The VNI a branch leads into, as far as it is known."""
    if branch.tunnel is not None:
        return branch.tunnel.vni
    port = places.port(bridge, branch.out_port)
    return None if port is None else port.vni


def _left_alike(visit: Visit, vni: int | None, places: Places) -> bool:
    """Where the ``in`` is missing, only the ways out can tell two packets apart."""
    known = {left_by_vni(visit.bridge, branch, places) for branch in visit.branches} - {None}
    return vni is None or not known or vni in known


def _all_alike(visits: list[Visit], endings: Sequence[PacketInRecord]) -> bool:
    """Whether each of these equal packets ended alike at each VFD, so that their order is enough to pair them."""
    stays = Counter((visit.bridge, visit.in_port) for visit in visits)
    kinds = Counter((r.bridge, r.in_port, r.loc, r.out_port, r.tunnel) for r in endings)
    return all(count == stays[bridge, in_port] for (bridge, in_port, *_), count in kinds.items())


def _closest(visits: list[Visit], record: PacketInRecord) -> Visit:
    """The visit most likely meant: without an end so far, with the same MAC addresses, and nearest in time."""

    def distance(visit: Visit) -> tuple[int, bool, bool, float]:
        arrival = visit.arrival
        changed = arrival is None or arrival.headers.eth_src != record.headers.eth_src
        elapsed = record.timestamp - visit.at
        return len(visit.branches), changed, elapsed < 0, abs(elapsed)

    return min(visits, key=distance)
