"""Turns a packet as an operator types it (a filter and more header fields) into headers; says what was assumed."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.codecs.flow_text_match import parse_match
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.errors import CodecError, UsageError
from vtrace_ovs.filters import parse
from vtrace_ovs.model.filter import Filter, IPNetwork
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.notation import mac_text
from vtrace_ovs.model.oxm import VLAN_TCI, Field, field
from vtrace_ovs.model.packet import (
    ADDRESS_FIELDS,
    FiveTuple,
    Fragment,
    Headers,
    IPAddress,
    IpFamily,
    IpProtocol,
    Tunnel,
)
from vtrace_ovs.model.topology import Topology, Vm

DEFAULT_TTL = 64
DEFAULT_LENGTH = {IpFamily.IPV4: 98, IpFamily.IPV6: 118}
"""That of a default ping: 14 bytes Ethernet, 20 IPv4 or 40 IPv6, 8 ICMP and 56 of payload."""
_TERM = re.compile(r"([^\s,=]+)\s*=\s*([^\s,]*)")
_MORE = frozenset(
    {
        *("dl_src", "eth_src", "dl_dst", "eth_dst", "dl_vlan", "dl_vlan_pcp", "vlan_tci", "nw_ttl", "nw_tos"),
        *(
            "ip_dscp",
            "nw_ecn",
            "ip_ecn",
            "nw_frag",
            "ip_frag",
            "tcp_flags",
            "tun_id",
            "tunnel_id",
            "tun_src",
            "tun_dst",
            "tun_ipv6_src",
            "tun_ipv6_dst",
            "ipv6_label",
        ),
    }
)
_ICMP = frozenset({IpProtocol.ICMP, IpProtocol.ICMPV6})
_FRAGMENTS = {0: Fragment.NO, 1: Fragment.FIRST, 3: Fragment.LATER}


@dataclass(frozen=True, slots=True)
class TypedPacket:
    """A packet nobody sent. ``notes`` say what was assumed, looked up, or left open."""

    headers: Headers
    tunnel: Tunnel | None = None
    notes: tuple[str, ...] = ()


def typed_packet(text: str, length: int | None, vm: Vm | None, topology: Topology) -> TypedPacket:
    """The packet a text like ``tcp,nw_src=…,nw_dst=…,tp_dst=443,dl_dst=…,nw_ttl=3`` means.

    ``vm`` is its sender, whose addresses fill in what the text leaves out. ``length`` is the frame's, in bytes. Raises
    UsageError for a packet that cannot be, or of which the addresses or the protocol are missing.
    """
    filter_text, more_text = _parted(text)
    more = _More(more_text)
    filter_ = parse(filter_text)
    five_tuple = _five_tuple(filter_, vm)
    headers = Headers(
        eth_src=more.address("eth_src"),
        eth_dst=more.address("eth_dst"),
        eth_type=filter_.family,
        length=DEFAULT_LENGTH[filter_.family] if length is None else length,
        vlan_tci=more.vlan(),
        five_tuple=five_tuple,
        dscp=more.number("ip_dscp"),
        ecn=more.number("ip_ecn"),
        ttl=more.number("nw_ttl"),
        fragment=_FRAGMENTS[more.number("ip_frag") or 0],
        tcp_flags=more.number("tcp_flags"),
        icmp_type=filter_.icmp_type,
        icmp_code=filter_.icmp_code,
        flow_label=more.number("ipv6_label"),
    )
    _check(headers)
    completed, looked_up = _from_inventory(headers, filter_, vm, topology)
    return TypedPacket(_with_ttl(completed), more.tunnel(), (*looked_up, *_notes(completed, length)))


def _parted(text: str) -> tuple[str, list[str]]:
    """The text without the fields only we take, blanks in their place so that positions stay, and those fields."""
    more: list[str] = []
    left = text
    for term in _TERM.finditer(text):
        if term[1].lower() in _MORE:
            more.append(f"{term[1].lower()}={term[2]}")
            start, end = term.span()
            comma = re.match(r"\s*,", left[end:])
            before = re.search(r",\s*$", left[:start])
            if comma is not None:
                end += comma.end()
            elif before is not None:
                start = before.start()
            left = left[:start] + " " * (end - start) + left[end:]
    return left, more


class _More:
    """The header fields a filter does not have."""

    def __init__(self, words: list[str]) -> None:
        try:
            self._match: Match = parse_match(words, PortNames())
        except CodecError as error:
            raise UsageError(f"the packet: {error}") from error

    def _given(self, name: str) -> MaskedField | None:
        wanted: Field = field(name)
        given = self._match.get(wanted)
        if given is not None and not given.exact and wanted is not VLAN_TCI:
            raise UsageError(f"the packet: {name} is given in part only: a packet has all of it")
        return given

    def number(self, name: str) -> int | None:
        given = self._given(name)
        return None if given is None else given.value

    def address(self, name: str) -> str:
        given = self.number(name)
        return "" if given is None else mac_text(given)

    def vlan(self) -> int | None:
        given = self._given("vlan_tci")
        return None if given is None or not given.value else given.value

    def tunnel(self) -> Tunnel | None:
        vni = self.number("tun_id")
        near, far = (self._outer(side) for side in ("src", "dst"))
        if vni is None:
            if near is not None or far is not None:
                raise UsageError("the packet: tun_src and tun_dst need tun_id: give the tunnel's VNI too")
            return None
        return Tunnel(vni, near, far)

    def _outer(self, side: str) -> IPAddress | None:
        v4, v6 = self.number(f"tun_{side}"), self.number(f"tun_ipv6_{side}")
        if v4 is not None and v6 is not None:
            raise UsageError(f"the packet: tun_{side} and tun_ipv6_{side} are both given: a tunnel has one")
        if v6 is not None:
            return IPv6Address(v6)
        return None if v4 is None else IPv4Address(v4)


def _five_tuple(filter_: Filter, vm: Vm | None) -> FiveTuple:
    if filter_.protocol is None:
        raise UsageError("which packet is meant is open: say tcp, udp, icmp, tcp6, udp6, icmp6 or nw_proto=N")
    near, far = ADDRESS_FIELDS[filter_.family]
    source = _one_address(near, filter_.source)
    if source is None:
        source = None if vm is None else vm.port.address_of(filter_.family)
    if source is None:
        raise UsageError(f"which packet is meant is open: give {near}, or the sending VM with --from")
    destination = _one_address(far, filter_.destination)
    if destination is None:
        raise UsageError(f"which packet is meant is open: give {far}")
    return FiveTuple(filter_.protocol, source, destination, filter_.source_port, filter_.destination_port)


def _one_address(name: str, network: IPNetwork | None) -> IPAddress | None:
    if network is None:
        return None
    if network.num_addresses != 1:
        raise UsageError(f"which packet is meant is open: {name}={network} are many addresses, a packet has one")
    return network.network_address


def _check(headers: Headers) -> None:
    five_tuple = headers.five_tuple
    if five_tuple is None:
        return
    ports = five_tuple.source_port, five_tuple.destination_port
    transport = (*ports, headers.icmp_type, headers.icmp_code, headers.tcp_flags)
    if headers.fragment is Fragment.LATER and any(part is not None for part in transport):
        raise UsageError("no such packet: a later fragment has no ports, flags, ICMP type or code: leave them out")
    if headers.flow_label is not None and five_tuple.family is IpFamily.IPV4:
        raise UsageError("no such packet: only IPv6 has a flow label")
    if headers.tcp_flags is not None and five_tuple.protocol != IpProtocol.TCP:
        raise UsageError("no such packet: only TCP has tcp_flags")


def _from_inventory(
    headers: Headers, filter_: Filter, vm: Vm | None, topology: Topology
) -> tuple[Headers, tuple[str, ...]]:
    """The MAC addresses the inventory knows: the sender's, and the receiver's where it is in the same VNI."""
    five_tuple = headers.five_tuple
    if vm is None or five_tuple is None:
        return headers, ()
    found = [f"{ADDRESS_FIELDS[filter_.family][0]}={five_tuple.source}"] if filter_.source is None else []
    if not headers.eth_src and vm.port.mac is not None:
        headers = replace(headers, eth_src=vm.port.mac)
        found.append(f"dl_src={vm.port.mac}")
    destination, vni = five_tuple.destination, vm.port.vni
    in_vni = (one for one in topology.vms() if one.port.vni == vni)
    receiver = next((one for one in in_vni if one.port.owns(destination)), None)
    if not headers.eth_dst and vni is not None and receiver is not None and receiver.port.mac is not None:
        headers = replace(headers, eth_dst=receiver.port.mac)
        found.append(f"dl_dst={receiver.port.mac} ({receiver.name})")
    return headers, (f"From the inventory: {', '.join(found)}.",) if found else ()


def _with_ttl(headers: Headers) -> Headers:
    """A TTL is needed to walk on at all; Open vSwitch's own trace would take 0, which no router forwards (T37)."""
    return headers if headers.ttl is not None else replace(headers, ttl=DEFAULT_TTL)


def _notes(headers: Headers, length: int | None) -> tuple[str, ...]:
    assumed = [f"nw_ttl={DEFAULT_TTL}"] if headers.ttl is None else []
    assumed += [f"{headers.length} bytes long"] if length is None else []
    assumed += ["no VLAN tag"] if headers.vlan_tci is None else []
    assumed += ["not a fragment"] if headers.fragment is Fragment.NO else []
    left_open = [name for name, missing in _left_open(headers) if missing]
    notes = (f"Assumed: {', '.join(assumed)}.",) if assumed else ()
    return (*notes, f"Left open, so nothing may depend on it: {', '.join(left_open)}.") if left_open else notes


def _left_open(headers: Headers) -> tuple[tuple[str, bool], ...]:
    five_tuple = headers.five_tuple
    whole = headers.fragment is not Fragment.LATER
    protocol = None if five_tuple is None or not whole else five_tuple.protocol
    ported = protocol in {IpProtocol.TCP, IpProtocol.UDP}
    return (
        ("dl_src", not headers.eth_src),
        ("dl_dst", not headers.eth_dst),
        ("nw_tos", headers.dscp is None),
        ("nw_ecn", headers.ecn is None),
        ("ipv6_label", headers.eth_type == IpFamily.IPV6 and headers.flow_label is None),
        ("tp_src", ported and five_tuple is not None and five_tuple.source_port is None),
        ("tp_dst", ported and five_tuple is not None and five_tuple.destination_port is None),
        ("tcp_flags", protocol == IpProtocol.TCP and headers.tcp_flags is None),
        ("icmp_type", protocol in _ICMP and headers.icmp_type is None),
        ("icmp_code", protocol in _ICMP and headers.icmp_code is None),
    )
