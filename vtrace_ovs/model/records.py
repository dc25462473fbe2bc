"""What was seen: one packet-in copy at one place in one VFD (paper, Table 2), and counter samples."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.oxm import Field
from vtrace_ovs.model.packet import FiveTuple, Headers, IPAddress, Tunnel
from vtrace_ovs.model.topology import BridgeId


class Loc(Enum):
    """The packet's location in a VFD (paper, Table 2)."""

    IN = "in"
    OUT = "out"
    ERROR = "error"


class RecordMsg(StrEnum):
    """What the logging VFD itself can say about an ``out`` or ``error`` (paper, Table 2: ``msg``).

    UNMARKED: it leaves without a mark, so the next VFD will not log it. SUPPRESSED: Open vSwitch will not send it,
    because the port is the one it came from. ASIDE goes with an ``error``: the flow drops the packet, but the flow that
    led to its table goes on after that, and may have sent it out before.
    """

    NONE = ""
    UNMARKED = "leaves without a mark"
    SUPPRESSED = "output to the ingress port is suppressed"
    ASIDE = "other tables still follow"


@quickly_built
@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet-in as decoded from bytes: nothing interpreted yet.

    ``metadata`` holds the pipeline fields OVS reports (in_port, tun_id, registers, ct_*); ``frame`` may be shorter
    than ``total_length``.
    """

    dpid: int
    cookie: int
    table_id: int
    reason: int
    metadata: tuple[tuple[Field, int], ...]
    userdata: bytes
    frame: bytes
    total_length: int
    received_at: float


@quickly_built
@dataclass(frozen=True, slots=True)
class PacketInRecord:
    """One log line of the VDG (paper, Table 2), with what OVS lets us add.

    ``packet_id`` is the digest of what survives routing, NAT and encapsulation; ``dscp_mark`` the packet's place in
    its trajectory (1 = coloring VFD); ``five_tuple`` is what the packet came into this VFD with, as far as that is
    known; ``nat_key`` the five-tuple after NAT, on ``out`` and ``error`` records of a VFD that translated it;
    ``flow`` the production flow that sent the packet out or dropped it (``error``), None for ``in`` and for a miss in a
    table without a table-miss flow; ``out_port`` is set for ``out`` where the flow names a port. ``tunnel`` is the
    tunnel it arrived by (``in``) or is about to leave by (``out``); its addresses are out_sip and out_dip. ``msg`` is
    a ``RecordMsg``.
    """

    sequence: int
    task_id: int
    bridge: BridgeId
    node_ip: IPAddress | None
    loc: Loc
    packet_id: str
    five_tuple: FiveTuple | None
    headers: Headers
    dscp_mark: int
    in_port: int
    timestamp: float
    out_port: int | None = None
    tunnel: Tunnel | None = None
    nat_key: FiveTuple | None = None
    table_id: int | None = None
    flow: FlowKey | None = None
    cookie: int | None = None
    msg: str = ""
    ct_state: int = 0
    frame: bytes = b""


class CounterKind(Enum):
    """What a counter sample counts."""

    FLOW = "flow"
    METER = "meter"
    PORT = "port"
    QUEUE_OVERFLOW = "queue overflow"


@dataclass(frozen=True, slots=True)
class CounterSample:
    """One reading of one counter. ``subject`` names it: a flow in OVS syntax, ``meter 7``, ``port 3``, …."""

    task_id: int
    bridge: BridgeId
    kind: CounterKind
    subject: str
    packets: int
    dropped: int
    read_at: float
