"""Turns one header edit after another into the packet's next state: OVS's ``struct flow``.

Every edit carries *unknown bits* along: a bit copied from something nobody logged stays unknown wherever it goes.
Source: ``lib/meta-flow.c``, ``lib/nx-match.c`` and ``ofproto/ofproto-dpif-xlate.c`` of Open vSwitch 3.1.
"""

from dataclasses import dataclass, field

from vtrace_ovs.model.actions import Action
from vtrace_ovs.model.oxm import VLAN_TCI, Field, SubField
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.undecided import Unknown

ETH_TYPE_IPV4 = 0x0800
ETH_TYPE_IPV6 = 0x86DD
ETH_TYPE_ARP = 0x0806
ETH_TYPE_RARP = 0x8035
ETH_TYPES_MPLS = frozenset({0x8847, 0x8848})
VLAN_PRESENT = 0x1000
"""OVS keeps this bit (CFI) set in the TCI of every tagged packet; an untagged packet has a TCI of 0."""
FRAGMENT_LATER = 0b10
CT_TRACKED = 0x20
CT_NEW = 0x01


CONNECTION = layout.bits_of(
    *("ct_state", "ct_zone", "ct_mark", "ct_label", "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst"),
    *("ct_nw_proto", "ct_tp_src", "ct_tp_dst"),
)
TUNNEL = layout.bits_of("tun_id", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst", "tun_flags", "tun_metadata0")
SCRATCH = layout.bits_of("metadata", *(f"reg{n}" for n in range(16)))
MPLS = layout.bits_of("mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl")
UPPER_LAYERS = layout.bits_of(
    *("ip_proto", "ip_ecn", "ip_dscp", "nw_ttl", "ip_frag", "ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst"),
    *("ipv6_label", "tcp_src", "tcp_dst", "tcp_flags", "arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"),
    *("nd_target", "nd_sll", "nd_tll"),
)
"""The bits of everything above Ethernet, its tags and labels."""
MOST_LABELS = 3
"""So many MPLS labels Open vSwitch 3.1 keeps of a packet (``FLOW_MAX_MPLS_LABELS``)."""
_FIRST_TTL = 64
_ICMPV6 = 58
_ND_TYPES = {"nd_target": (135, 136), "nd_sll": (135,), "nd_tll": (136,)}
_PORTS = layout.bits_of("tcp_src", "tcp_dst")
_ANY_FRAGMENT = layout.bits_of("ip_frag")
_PROTOCOLS = {"tcp": (6,), "udp": (17,), "sctp": (132,), "icmp": (1,), "icmpv6": (58,)}
_IP = frozenset({"ip_proto", "ip_dscp", "ip_ecn", "nw_tos", "nw_ttl", "ip_frag"})
_NW_TOS_WRITABLE = 0xFC
_RESERVED_16 = 0xFF00


def canonical_port(port: int) -> int:
    """A port number as OpenFlow 1.3 writes it: the 16-bit reserved ports of Nicira fields become 32-bit ones."""
    port &= 0xFFFFFFFF
    if port >= 0xFFFF0000:  # noqa: PLR2004  only the 16 bits below count, in both notations
        port &= 0xFFFF
    return 0xFFFF0000 | port if _RESERVED_16 <= port <= 0xFFFF else port  # noqa: PLR2004  all ones in 16 bits


@dataclass(slots=True)
class PacketState:
    """A packet under translation. ``packed`` is laid out by ``layout``; bits set in ``unknown`` have no known value.

    ``stack`` holds (value, unknown bits) pairs; ``action_set`` is in the order it was written. ``labels`` are the MPLS
    labels under the outermost one, and ``covered`` the network and transport headers under all of them.
    """

    packed: int
    unknown: int = layout.UNMODELLED
    stack: list[tuple[int, int]] = field(default_factory=list)
    action_set: list[Action] = field(default_factory=list)
    labels: tuple[int, ...] = ()
    covered: tuple[int, int] = (0, UPPER_LAYERS)

    def copy(self) -> "PacketState":
        """An independent copy."""
        stack, action_set = self.stack.copy(), self.action_set.copy()
        return PacketState(self.packed, self.unknown, stack, action_set, self.labels, self.covered)

    @property
    def in_port(self) -> int:
        """The packet's ingress port, as OpenFlow 1.3 writes it."""
        return layout.read(self.packed, "in_port")

    def lookup_key(self, in_port: int | None = None) -> int:
        """What a table search compares. ``resubmit(PORT,…)`` replaces the port for one search only.

        Under the bridge's default fragment handling ("normal") every fragment shows transport ports of zero.
        """
        packed = self.packed
        if in_port is not None:
            packed = layout.replaced(packed, "in_port", in_port)
        return packed & ~_PORTS if packed & _ANY_FRAGMENT else packed

    def has(self, entry: Field) -> bool:
        """Whether the packet has this header field; OVS ignores a write to one it has not."""
        name = entry.name
        eth_type = layout.read(self.packed, "eth_type")
        if name in _IP:
            return eth_type in {ETH_TYPE_IPV4, ETH_TYPE_IPV6}
        if name.startswith("arp_"):
            return eth_type in {ETH_TYPE_ARP, ETH_TYPE_RARP}
        if name.startswith("mpls_"):
            return eth_type in ETH_TYPES_MPLS
        if name.startswith("nd_"):
            return eth_type == ETH_TYPE_IPV6 and self._icmpv6_type() in _ND_TYPES[name]
        if name.startswith("ipv4_"):
            return eth_type == ETH_TYPE_IPV4
        if name.startswith("ipv6_"):
            return eth_type == ETH_TYPE_IPV6
        if name in {"vlan_vid", "vlan_pcp"}:
            return bool(layout.read(self.packed, "vlan_tci") & VLAN_PRESENT)
        protocols = _PROTOCOLS.get(name.partition("_")[0])
        if protocols is None:
            return True
        return (
            eth_type in {ETH_TYPE_IPV4, ETH_TYPE_IPV6}
            and layout.read(self.packed, "ip_proto") in protocols
            and not layout.read(self.packed, "ip_frag") & FRAGMENT_LATER
        )

    def _icmpv6_type(self) -> int | None:
        if layout.read(self.packed, "ip_proto") != _ICMPV6 or layout.read(self.packed, "tcp_dst"):
            return None
        return layout.read(self.packed, "tcp_src")

    def write(self, part: SubField, value: int, unknown: int = 0) -> None:
        """Write bits of a field; ``value`` and ``unknown`` are right-aligned."""
        lowest = layout.covered(part)
        if lowest is None or not self.has(part.field):
            return  # fields that are not tracked stay unknown
        mask = (1 << part.width) - 1
        self._store(part.field, value & mask, mask, unknown & mask, lowest)

    def set_masked(self, entry: Field, value: int, mask: int) -> None:
        """``set_field`` and ``load``: write the masked bits of a field."""
        lowest = layout.offset_of(entry)
        untagged = not layout.read(self.packed, "vlan_tci")
        if entry is VLAN_TCI and untagged and not mask & VLAN_PRESENT:
            return  # OVS decodes a lone set_vlan_pcp to this, and ignores it on an untagged packet
        if lowest is not None and self.has(entry):
            mask &= layout.tracked(entry)
            if entry.name == "nw_tos":
                mask &= _NW_TOS_WRITABLE
            self._store(entry, value & mask, mask, 0, lowest)

    def _store(self, entry: Field, value: int, mask: int, unknown: int, lowest: int) -> None:
        self.packed = self.packed & ~(mask << lowest) | value << lowest
        self.unknown = self.unknown & ~(mask << lowest) | unknown << lowest
        if entry.name == "in_port":
            self.packed = layout.replaced(self.packed, "in_port", canonical_port(self.in_port & 0xFFFF))
        elif entry.name in {"vlan_vid", "vlan_pcp"}:
            self.packed |= layout.placed("vlan_tci", VLAN_PRESENT)

    def read(self, part: SubField) -> tuple[int, int]:
        """Bits of a field and which of them are unknown, right-aligned. An untracked field is unknown altogether."""
        mask = (1 << part.width) - 1
        lowest = layout.covered(part)
        if lowest is None:
            return 0, mask
        return self.packed >> lowest & mask, self.unknown >> lowest & mask

    def move(self, source: SubField, destination: SubField) -> None:
        """``move``; nothing happens when the packet lacks either field."""
        if self.has(source.field) and self.has(destination.field):
            self.write(destination, *self.read(source))

    def push(self, source: SubField) -> None:
        """Push bits of a field on the stack."""
        self.stack.append(self.read(source))

    def pop(self, destination: SubField) -> None:
        """Pop the stack into a field; OVS only warns when the stack is empty."""
        if self.stack:
            self.write(destination, *self.stack.pop())

    def push_vlan(self) -> None:
        """Push an empty tag; an existing one moves inside."""
        self._shift("vlan_tci", layout.INNER_VLAN)
        self.packed = layout.replaced(self.packed, "vlan_tci", VLAN_PRESENT)

    def pop_vlan(self) -> None:
        """Remove the outer tag, if there is one."""
        self._shift(layout.INNER_VLAN, "vlan_tci")
        self.packed = layout.replaced(self.packed, layout.INNER_VLAN, 0)

    def _shift(self, source: str, destination: str) -> None:
        self.packed = layout.replaced(self.packed, destination, layout.read(self.packed, source))

    def push_mpls(self, eth_type: int) -> bool:
        """Push a copy of the outermost label, or the first: explicit null with the packet's TTL. False: too many."""
        if layout.read(self.packed, "eth_type") in ETH_TYPES_MPLS:
            if len(self.labels) + 1 >= MOST_LABELS:
                return False
            self.labels = (self.packed & MPLS, *self.labels)
            self.packed = layout.replaced(self.packed, "mpls_bos", 0)
        else:
            self.covered = (self.packed & UPPER_LAYERS, self.unknown & UPPER_LAYERS)
            version = layout.read(self.packed, "eth_type")
            ip = version in {ETH_TYPE_IPV4, ETH_TYPE_IPV6}
            ttl = (layout.read(self.packed, "nw_ttl") if ip else 0) or _FIRST_TTL
            traffic_class = layout.read(self.packed, "ip_dscp") & 7 if ip else 0
            self.packed &= ~(UPPER_LAYERS | MPLS)
            self.unknown &= ~(UPPER_LAYERS | MPLS)
            self.packed |= layout.placed("mpls_label", 2 if version == ETH_TYPE_IPV6 else 0)
            self.packed |= layout.placed("mpls_tc", traffic_class) | layout.placed("mpls_bos", 1)
            self.packed |= layout.placed("mpls_ttl", ttl)
        self.packed = layout.replaced(self.packed, "eth_type", eth_type)
        return True

    def pop_mpls(self, eth_type: int) -> bool:
        """Remove the outermost label, if there is one. False where Open vSwitch itself cannot."""
        if layout.read(self.packed, "eth_type") not in ETH_TYPES_MPLS:
            return True
        labels = self.labels
        if len(labels) + 1 >= MOST_LABELS or (not labels and eth_type in ETH_TYPES_MPLS):
            return False
        self.packed &= ~(MPLS | UPPER_LAYERS)
        self.unknown &= ~(MPLS | UPPER_LAYERS)
        if eth_type in ETH_TYPES_MPLS:
            self.packed |= labels[0]
            self.labels = labels[1:]
        else:
            value, unknown = self.covered if not labels else (0, UPPER_LAYERS)
            self.packed |= value
            self.unknown |= unknown
            self.labels = ()
        self.packed = layout.replaced(self.packed, "eth_type", eth_type)
        return True

    def decrement_mpls_ttl(self) -> bool:
        """``dec_mpls_ttl``; False when the TTL would reach zero, which ends the current flow's actions."""
        if layout.read(self.packed, "eth_type") not in ETH_TYPES_MPLS:
            return True
        ttl = layout.read(self.packed, "mpls_ttl")
        if ttl <= 1:
            return False
        self.packed = layout.replaced(self.packed, "mpls_ttl", ttl - 1)
        return True

    def with_original_tuple(self) -> "PacketState | Unknown | None":
        """The packet with the five-tuple its connection began with, as ``resubmit(,ct)`` searches; None without one."""
        version = {ETH_TYPE_IPV4: 4, ETH_TYPE_IPV6: 6}.get(layout.read(self.packed, "eth_type"))
        if version is None:
            return None
        if self.unknown & layout.bits_of("ct_nw_proto"):
            return Unknown("the tuple that the packet's connection began with is not known")
        if not layout.read(self.packed, "ct_nw_proto"):
            return None
        shown = self.copy()
        sides = ("nw_src", "nw_dst") if version == 4 else ("ipv6_src", "ipv6_dst")  # noqa: PLR2004  IP version
        theirs = (f"ipv{version}_src", f"ipv{version}_dst", "ip_proto", "tcp_src", "tcp_dst")
        for mine, original in zip(theirs, (*sides, "nw_proto", "tp_src", "tp_dst"), strict=True):
            shown.packed = layout.replaced(shown.packed, mine, layout.read(self.packed, f"ct_{original}"))
            unknown = layout.read(self.unknown, f"ct_{original}")
            shown.unknown = layout.replaced(shown.unknown, mine, unknown)
        return shown

    def decrement_ttl(self) -> bool:
        """``dec_ttl``; False when the TTL would reach zero, which ends the current flow's actions."""
        if layout.read(self.packed, "eth_type") not in {ETH_TYPE_IPV4, ETH_TYPE_IPV6}:
            return True
        ttl = layout.read(self.packed, "nw_ttl")
        if ttl <= 1:
            return False
        self.packed = layout.replaced(self.packed, "nw_ttl", ttl - 1)
        return True

    def set_tunnel_id(self, tun_id: int) -> None:
        """``set_tunnel``."""
        self.packed = layout.replaced(self.packed, "tun_id", tun_id)
        self.unknown &= ~layout.bits_of("tun_id")

    def clear_connection(self) -> None:
        """Forget everything connection tracking said."""
        self.packed &= ~CONNECTION
        self.unknown &= ~CONNECTION

    def enter_port(self, in_port: int) -> None:
        """Set the ingress port."""
        self.packed = layout.replaced(self.packed, "in_port", canonical_port(in_port))

    def cross_patch(self, in_port: int) -> None:
        """Enter the peer bridge: registers, metadata, tunnel and connection are cleared, ``pkt_mark`` is not."""
        self.packed &= ~(CONNECTION | TUNNEL | SCRATCH)
        self.unknown &= ~(CONNECTION | TUNNEL | SCRATCH)
        self.enter_port(in_port)
        self.stack = []
        self.action_set = []
