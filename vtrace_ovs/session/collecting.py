"""Turns packet-ins of instrumented bridges into Table 2 records, and groups a task's records by packet."""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.reading import LogReading
from vtrace_ovs.model import oxm
from vtrace_ovs.model.packet import FiveTuple, Headers, IPAddress, Tunnel
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import Bridge, BridgeId, PortKind, Topology
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.session.events import PacketInReceived
from vtrace_ovs.session.predicting import Walks
from vtrace_ovs.trajectories.identity import packet_id

Coming = tuple[BridgeId, int, int]
"""Where packets come in: bridge, hop index, ingress port."""

Place = tuple[BridgeId, int, Loc]
"""Where copies are taken: bridge, hop index, in or out or error."""

MOST_ALIKE = 256
"""So many packets that look the same are told apart at each place; the work of that grows with their square."""

CT_REPLY = 0x08
"""``rpl`` of ``ct_state`` (ovs-fields(7))."""
# Looking up an enum member costs 0.15 µs on Python 3.11, and this is done for every packet-in.
_IN, _OUT, _ERROR = Loc.IN, Loc.OUT, Loc.ERROR
_KIND_ASIDE, _KIND_TUNNEL = ProbeKind.ASIDE, PortKind.TUNNEL
_MSG_NONE = RecordMsg.NONE
_ipv4_address = lru_cache(maxsize=4096)(IPv4Address)


def place_of(record: PacketInRecord) -> Place:
    """Where a copy was taken."""
    return record.bridge, record.dscp_mark, record.loc


@dataclass(slots=True)
class PacketGroup:
    """All records of one packet_id: one packet, or several that look the same. ``decisions`` by occurrence.

    ``colored``: a copy is of the VFD that colors, which nobody can forge. ``entered`` counts the packets seen entering,
    ``beyond`` those of them over the number asked for. ``fresh`` tells that records came since the last look
    (``looked_at``); ``waiting`` are the ways that look left undecided, and ``weighed`` tells that they were judged once
    without being sure. ``taken`` counts the records of each place. A ``crowded`` group has left out some, and
    ``untold`` are the packets asked for whose entering was. ``came_as`` tells with which five-tuples packets came in.
    """

    first_at: float
    last_at: float = 0.0
    records: list[PacketInRecord] = field(default_factory=list)
    decisions: dict[int, DiagnosedPacket] = field(default_factory=dict)
    colored: bool = False
    entered: int = 0
    beyond: int = 0
    fresh: bool = False
    looked_at: float = 0.0
    waiting: tuple[Trajectory, ...] = ()
    weighed: bool = False
    untold: int = 0
    crowded: bool = False
    taken: Counter[Place] = field(default_factory=Counter)
    came_as: dict[Coming, set[FiveTuple | None]] = field(default_factory=dict)
    walks: Walks = field(default_factory=Walks)

    def add(self, record: PacketInRecord, at: float, *, enters: bool, beyond: bool) -> bool:
        """One more record; ``enters``: of a packet entering the overlay, ``beyond`` the number asked for.

        False when its place has as many as are told apart: it is left out.
        """
        place = place_of(record)
        if self.taken[place] >= MOST_ALIKE:
            self.untold += enters and not beyond
            self.fresh, self.crowded = self.fresh or not self.crowded, True
            return False
        self.taken[place] += 1
        self.records.append(record)
        self.colored = self.colored or record.dscp_mark == 1
        self.entered += enters
        self.beyond += beyond
        self.last_at, self.fresh = at, True
        if record.loc is Loc.IN:
            coming = (record.bridge, record.dscp_mark, record.in_port)
            self.came_as.setdefault(coming, set()).add(record.five_tuple)
        return True

    @property
    def packets(self) -> int:
        """How many packets of those asked for were seen, at least; none where no copy is of the VFD that colors."""
        return max(1, self.entered - self.beyond) + self.untold if self.colored else 0

    def judged(self, occurrence: int) -> Trajectory | None:
        """The way a packet was judged by, if it was."""
        packet = self.decisions.get(occurrence)
        return None if packet is None else packet.observed

    @property
    def all_entered_by(self) -> float:
        """When the last of its packets had entered, at the latest."""
        alike = any(taken > 1 for taken in self.taken.values())
        return self.last_at if alike else self.first_at

    @property
    def undecided(self) -> bool:
        """Whether some packet's fate is still open."""
        return self.fresh or bool(self.waiting)


def record_of(event: PacketInReceived, reading: LogReading, bridge: Bridge, topology: Topology) -> PacketInRecord:
    """One packet-in as a record of the paper's Table 2, as far as it says itself; ``of_task`` knows the rest."""
    metadata = dict(event.packet_in.metadata)
    in_port = metadata.get(oxm.IN_PORT, 0)
    probe = reading.probe
    name, seen = packet_id(event.headers), event.headers.five_tuple
    before = seen if probe.loc is _IN else _original(metadata, event.headers) or seen
    tunnel = _tunnel(metadata, bridge, topology, probe.loc, in_port, probe.out_port)
    return PacketInRecord(
        sequence=0,
        task_id=0,
        bridge=bridge.id,
        node_ip=_vtep(topology, bridge, None),
        loc=probe.loc,
        packet_id=name,
        five_tuple=before,
        headers=event.headers,
        dscp_mark=reading.hop_index,
        in_port=in_port,
        timestamp=event.at,
        out_port=probe.out_port,
        tunnel=tunnel,
        nat_key=seen if before != seen else None,
        table_id=probe.table_id,
        flow=probe.flow,
        cookie=probe.cookie,
        msg=_msg(reading, tunnel, seen),
        ct_state=metadata.get(oxm.CT_STATE, 0),
        frame=event.packet_in.frame,
    )


def of_task(record: PacketInRecord, task_id: int, sequence: int, group: PacketGroup | None) -> PacketInRecord:
    """The record as one of a task's, where ``group`` has those of the same packet so far."""
    seen, before = record.headers.five_tuple, record.five_tuple
    if record.loc is not _IN:
        before = _came_in_as(group, (record.bridge, record.dscp_mark, record.in_port)) or before
    nat_key = seen if before != seen else None
    return replace(record, task_id=task_id, sequence=sequence, five_tuple=before, nat_key=nat_key)


def _msg(reading: LogReading, tunnel: Tunnel | None, five_tuple: FiveTuple | None) -> RecordMsg:
    """What the copy itself says about an output or a drop.

    Open vSwitch writes no IP header, so no mark, of a packet whose protocol is 0 (tried). Patch ports need none.
    """
    if reading.probe.kind is _KIND_ASIDE:
        return RecordMsg.ASIDE
    if reading.probe.loc is not _OUT:
        return _MSG_NONE
    if reading.suppressed:
        return RecordMsg.SUPPRESSED
    writable = tunnel is None or five_tuple is None or five_tuple.protocol != 0
    return _MSG_NONE if reading.marked and writable else RecordMsg.UNMARKED


def _vtep(topology: Topology, bridge: Bridge, other_end: IPAddress | None) -> IPAddress | None:
    """The bridge's own end of a tunnel to ``other_end``, of its family; the server's first when that is unknown."""
    node = topology.node(bridge.id.node)
    if node is None or not node.vteps:
        return None
    if other_end is None:
        return node.vteps[0]
    return next((vtep for vtep in node.vteps if vtep.version == other_end.version), None)


def _tunnel(
    metadata: dict[oxm.Field, int], bridge: Bridge, topology: Topology, loc: Loc, in_port: int, out_port: int | None
) -> Tunnel | None:
    """The tunnel a packet came by (in) or is leaving by (out); None where no tunnel is involved."""
    through = out_port if loc is _OUT else in_port
    port = bridge.port(through) if through is not None else None
    if port is None or port.kind is not _KIND_TUNNEL or loc is _ERROR:
        return None
    vni = port.key if port.key is not None else metadata.get(oxm.TUN_ID, 0)
    source = _address(metadata, oxm.TUN_SRC, oxm.TUN_IPV6_SRC)
    destination = _address(metadata, oxm.TUN_DST, oxm.TUN_IPV6_DST)
    if loc is _IN:
        source = source or port.remote
        return Tunnel(vni, source, destination or _vtep(topology, bridge, source))
    destination = destination or port.remote
    return Tunnel(vni, _vtep(topology, bridge, destination), destination)


def _address(metadata: dict[oxm.Field, int], v4: oxm.Field, v6: oxm.Field) -> IPAddress | None:
    """Whichever of the two fields is there; all zeros is no address (T21)."""
    if value := metadata.get(v4, 0):
        return _ipv4_address(value)
    value = metadata.get(v6, 0)
    return IPv6Address(value) if value else None


def _came_in_as(group: PacketGroup | None, visit: Coming) -> FiveTuple | None:
    """The five-tuple a packet came into this visit with; None when it is not known, or twins came with others."""
    found = set() if group is None else group.came_as.get(visit, set())
    return next(iter(found)) if len(found) == 1 else None


def _original(metadata: dict[oxm.Field, int], headers: Headers) -> FiveTuple | None:
    """The five-tuple of a tracked packet before its connection was translated. All zeros is none (T21).

    None in the reply direction, where conntrack still names the tuple of the request.
    """
    source = _address(metadata, oxm.CT_NW_SRC, oxm.CT_IPV6_SRC)
    destination = _address(metadata, oxm.CT_NW_DST, oxm.CT_IPV6_DST)
    if source is None or destination is None or headers.five_tuple is None:
        return None
    if metadata.get(oxm.CT_STATE, 0) & CT_REPLY:
        return None
    return FiveTuple(
        metadata.get(oxm.CT_NW_PROTO, headers.five_tuple.protocol),
        source,
        destination,
        metadata.get(oxm.CT_TP_SRC) if headers.five_tuple.source_port is not None else None,
        metadata.get(oxm.CT_TP_DST) if headers.five_tuple.destination_port is not None else None,
    )
