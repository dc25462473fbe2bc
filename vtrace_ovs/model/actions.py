"""What flow entries do: OpenFlow 1.3 and Nicira actions and instructions, as closed unions.

Every decoded action keeps its wire bytes beside it (``ApplyActions.raw``), so that an action nobody here understands
is still copied exactly. Sources: OpenFlow 1.3.5 §7.2.5, ovs-actions(7).
"""

from dataclasses import dataclass

from vtrace_ovs.model.construction import HashedOnce, hashed_once, quickly_built
from vtrace_ovs.model.oxm import Field, SubField


@dataclass(frozen=True, slots=True)
class Output:
    """Output to an OpenFlow port number, including the reserved ones (OFPP_IN_PORT, OFPP_NORMAL, …).

    ``max_len`` is how many bytes OFPP_CONTROLLER gets; for any other port, what the packet is cut to (0: not cut).
    """

    port: int
    max_len: int = 0


@dataclass(frozen=True, slots=True)
class OutputSubField:
    """Nicira ``output:REG[..]``: the port number is in a field."""

    source: SubField
    max_len: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Process through a group."""

    group_id: int


@dataclass(frozen=True, slots=True)
class SetField:
    """Write masked bits of a field (``set_field``, ``load``, ``mod_*`` all decode to this)."""

    field: Field
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Move:
    """Copy bits between fields (``move``)."""

    source: SubField
    destination: SubField


@dataclass(frozen=True, slots=True)
class Push:
    """Push bits of a field on the Nicira stack."""

    source: SubField


@dataclass(frozen=True, slots=True)
class Pop:
    """Pop bits from the Nicira stack into a field."""

    destination: SubField


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Search a table again. ``in_port`` None keeps the packet's; ``table_id`` None means the current table."""

    in_port: int | None
    table_id: int | None
    with_conntrack: bool = False


@quickly_built
@dataclass(frozen=True, slots=True)
class Controller:
    """Nicira ``controller(...)`` (NXAST_CONTROLLER2): send a copy to the connections with this controller id."""

    controller_id: int
    max_len: int = 0xFFFF
    reason: int = 1
    userdata: bytes = b""
    pause: bool = False
    meter_id: int | None = None


@dataclass(frozen=True, slots=True)
class PushVlan:
    """Push a VLAN header with this TPID."""

    eth_type: int


@dataclass(frozen=True, slots=True)
class PopVlan:
    """Pop the outermost VLAN header."""


@dataclass(frozen=True, slots=True)
class PushMpls:
    """Push an MPLS label with this Ethernet type (0x8847 or 0x8848)."""

    eth_type: int


@dataclass(frozen=True, slots=True)
class PopMpls:
    """Pop the outermost MPLS label; ``eth_type`` is that of what is under it."""

    eth_type: int


@dataclass(frozen=True, slots=True)
class DecMplsTtl:
    """Decrement the TTL of the outermost MPLS label."""


@dataclass(frozen=True, slots=True)
class DecTtl:
    """Decrement the IP TTL; a packet whose TTL would reach zero goes to ``controller_ids`` and stops here."""

    controller_ids: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Meter:
    """Pass through a meter (instruction in OpenFlow 1.3, action inside OVS)."""

    meter_id: int


@dataclass(frozen=True, slots=True)
class Conntrack:
    """``ct(...)``: connection tracking. ``table_id`` None means the packet does not recirculate.

    ``nested`` holds ``nat`` and the actions of ``exec(...)``, ``raw`` their wire forms; ``alg`` is the port number of
    the application layer gateway (21 FTP, 69 TFTP), 0 for none.
    """

    commit: bool
    force: bool
    zone: int | SubField
    table_id: int | None
    nested: tuple["Action", ...] = ()
    alg: int = 0
    raw: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Nat:
    """``nat`` inside ``ct``: ``source``/``destination`` say which way; ranges are kept as text."""

    source: bool
    destination: bool
    range_text: str = ""


@dataclass(frozen=True, slots=True)
class ConntrackClear:
    """Forget the packet's connection tracking state."""


@dataclass(frozen=True, slots=True)
class Clone:
    """Run actions on a copy of the packet and its state. ``raw`` holds the wire forms of ``nested``."""

    nested: tuple["Action", ...]
    raw: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SetTunnelId:
    """Nicira ``set_tunnel``/``set_tunnel64``."""

    tun_id: int


@dataclass(frozen=True, slots=True)
class Learn:
    """``learn(...)``: adds flows as packets pass. Its effect is in the stored tables; its body is kept as bytes."""

    table_id: int
    priority: int = 0x8000


@dataclass(frozen=True, slots=True)
class Note:
    """``note``: does nothing, carries bytes."""

    note: bytes


@dataclass(frozen=True, slots=True)
class Exit:
    """Stop translating this packet."""


@dataclass(frozen=True, slots=True)
class Conjunction:
    """``conjunction(id, k/n)``: this flow satisfies dimension ``clause`` (from 0) of ``n_clauses`` (ovs-fields(7))."""

    conjunction_id: int
    clause: int
    n_clauses: int


@dataclass(frozen=True, slots=True)
class CheckPacketLarger:
    """``check_pkt_larger(length)->bit``: set one bit to whether the packet is longer than ``length`` bytes."""

    length: int
    destination: SubField


@dataclass(frozen=True, slots=True)
class Multipath:
    """``multipath(…)``: write the number of a link, chosen by a hash of the packet, into a field."""

    n_links: int
    destination: SubField
    raw: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """``bundle`` (``destination`` None: output) and ``bundle_load``: choose one of ``members``, OpenFlow ports.

    ``active_backup`` takes the first live one; otherwise a hash of the packet chooses.
    """

    active_backup: bool
    members: tuple[int, ...]
    destination: SubField | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class Neutral:
    """An action that changes neither the packet nor its way, such as ``set_queue``, ``sample`` or ``fin_timeout``."""

    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class UnknownAction:
    """An action this version does not model, by name where we know it; its bytes are beside it in ``raw``."""

    name: str
    raw: bytes


Action = (
    Output
    | OutputSubField
    | Group
    | SetField
    | Move
    | Push
    | Pop
    | Resubmit
    | Controller
    | PushVlan
    | PopVlan
    | PushMpls
    | PopMpls
    | DecMplsTtl
    | DecTtl
    | Meter
    | Conntrack
    | Nat
    | ConntrackClear
    | Clone
    | SetTunnelId
    | Learn
    | Note
    | Exit
    | Conjunction
    | CheckPacketLarger
    | Multipath
    | Bundle
    | Neutral
    | UnknownAction
)


@hashed_once
@dataclass(frozen=True, slots=True)
class ApplyActions(HashedOnce):
    """Actions run at once, in order. ``raw[i]`` is the wire form of ``actions[i]``; ``b""`` means: encode it."""

    actions: tuple[Action, ...]
    raw: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteActions:
    """Actions merged into the action set."""

    actions: tuple[Action, ...]
    raw: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ClearActions:
    """Empty the action set."""


@dataclass(frozen=True, slots=True)
class GotoTable:
    """Continue in a later table."""

    table_id: int


@dataclass(frozen=True, slots=True)
class WriteMetadata:
    """Write masked bits of the metadata field."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class UnknownInstruction:
    """An instruction this version does not model."""

    name: str
    raw: bytes


Instruction = ApplyActions | WriteActions | ClearActions | GotoTable | WriteMetadata | Meter | UnknownInstruction

OFPP_MAX = 0xFFFFFF00
OFPP_IN_PORT = 0xFFFFFFF8
OFPP_TABLE = 0xFFFFFFF9
OFPP_NORMAL = 0xFFFFFFFA
OFPP_FLOOD = 0xFFFFFFFB
OFPP_ALL = 0xFFFFFFFC
OFPP_CONTROLLER = 0xFFFFFFFD
OFPP_LOCAL = 0xFFFFFFFE
OFPP_ANY = 0xFFFFFFFF
