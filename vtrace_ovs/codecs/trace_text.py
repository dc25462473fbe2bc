"""Turns a packet into the flow that ``ofproto/trace`` takes, and its answer into what OVS does (ovs-vswitchd(8))."""

import re
from collections.abc import Iterator

from vtrace_ovs.codecs.flow_text_match import parse_match
from vtrace_ovs.codecs.flow_text_words import PortNames, split
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.agreement import Lookup, OvsTrace
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.notation import CT_STATE_BITS
from vtrace_ovs.model.packet import Fragment, Headers, IpProtocol, Tunnel

_BRIDGE = re.compile(r'(?:>> )?(?:native tunnel output: )?bridge\("(.*)"\)')
_LOOKUP = re.compile(r" *(\d+)\. (.*)")
_MATCHED = re.compile(r"(?P<match>.*?)(?:, )?priority (?P<priority>\d+)(?:, cookie (?P<cookie>0x[0-9a-f]+))?")
_NOTE = re.compile(r" *>+ *(.*)")
_PARTS = {"Final flow: ": "final", "Megaflow: ": "megaflow", "Datapath actions: ": "actions"}
_IPV4, _IPV6 = 0x0800, 0x86DD
_LAYERS = {IpProtocol.TCP: "tcp", IpProtocol.UDP: "udp", 132: "sctp"}


def trace_flow(headers: Headers, in_port: int, tunnel: Tunnel | None) -> str:
    """The packet as a flow for ``ofproto/trace``. What is not known is left out, and OVS takes it for zero."""
    return ",".join(f"{name}={value}" for name, value in _words(headers, in_port, tunnel) if value not in {None, ""})


def ct_next(ct_state: int) -> str:
    """Connection state bits as ``--ct-next`` takes them: ``trk,new``."""
    return ",".join(name for bit, name in enumerate(CT_STATE_BITS) if ct_state >> bit & 1)


def _words(headers: Headers, in_port: int, tunnel: Tunnel | None) -> Iterator[tuple[str, object]]:
    yield "in_port", in_port & 0xFFFF if in_port > 0xFFFF else in_port  # noqa: PLR2004  reserved ports, 16-bit form
    if tunnel is not None:
        yield "tun_id", f"{tunnel.vni:#x}"
        yield "tun_metadata0", f"{tunnel.option:#x}" if tunnel.option else None
        for side, address in (("src", tunnel.source), ("dst", tunnel.destination)):
            if address is not None:
                yield f"tun_{side}" if address.version == 4 else f"tun_ipv6_{side}", address  # noqa: PLR2004  IPv4
    yield "dl_src", headers.eth_src
    yield "dl_dst", headers.eth_dst
    if headers.vlan_tci is not None:
        yield "dl_vlan", headers.vlan_tci & 0xFFF
        yield "dl_vlan_pcp", headers.vlan_tci >> 13
    yield "dl_type", f"{headers.eth_type:#06x}"
    if headers.eth_type in {_IPV4, _IPV6}:
        yield from _network(headers)


def _network(headers: Headers) -> Iterator[tuple[str, object]]:
    five_tuple = headers.five_tuple
    if five_tuple is not None:
        family = "nw" if five_tuple.source.version == 4 else "ipv6"  # noqa: PLR2004  IPv4
        yield f"{family}_src", five_tuple.source
        yield f"{family}_dst", five_tuple.destination
        yield "nw_proto", five_tuple.protocol
    yield "ipv6_label", headers.flow_label
    yield "nw_ttl", headers.ttl
    yield "nw_tos", None if headers.dscp is None else headers.dscp << 2
    yield "nw_ecn", headers.ecn
    if headers.fragment is not Fragment.NO:
        yield "nw_frag", headers.fragment.value
    if five_tuple is None or headers.fragment is Fragment.LATER:
        return
    layer = _LAYERS.get(five_tuple.protocol)
    if layer is not None:
        yield f"{layer}_src", five_tuple.source_port
        yield f"{layer}_dst", five_tuple.destination_port
    if layer == "tcp":
        yield "tcp_flags", headers.tcp_flags
    prefix = (
        {IpProtocol.ICMP: "icmp", IpProtocol.ICMPV6: "icmpv6"}.get(IpProtocol(five_tuple.protocol))
        if (five_tuple.protocol in {IpProtocol.ICMP, IpProtocol.ICMPV6})
        else None
    )
    if prefix is not None:
        yield f"{prefix}_type", headers.icmp_type
        yield f"{prefix}_code", headers.icmp_code


def parse_trace(text: str, names: PortNames) -> OvsTrace:
    """What ``ofproto/trace`` answered. ``names`` are the ports of the bridges, which it calls by name.

    Raises CodecError for a text that is none of its answers.
    """
    lookups: list[Lookup] = []
    parts: dict[str, list[str]] = {"final": [], "megaflow": [], "actions": []}
    notes: list[str] = []
    inside: list[tuple[int, str]] = []
    for line in text.splitlines():
        heading = _BRIDGE.fullmatch(line.strip())
        search = _LOOKUP.fullmatch(line)
        _return_from(inside, line, is_search=search is not None)
        part = next((start for start in _PARTS if line.startswith(start)), None)
        note = _NOTE.fullmatch(line)
        if heading is not None:
            inside.append((_depth(line), heading[1]))
        elif search is not None:
            lookups.append(_lookup(inside[-1][1] if inside else "", int(search[1]), search[2], names))
        elif part is not None:
            parts[_PARTS[part]].append(line.removeprefix(part))
        elif note is not None:
            notes.append(note[1])
    if not lookups and not parts["actions"]:
        raise CodecError(f"ofproto/trace answered {text.strip()[:120]!r}, which is no trace")
    return OvsTrace(
        tuple(lookups),
        "".join(parts["final"][-1:]),
        "".join(parts["megaflow"][-1:]),
        tuple(parts["actions"]),
        any(map(_outputs, parts["actions"])),
        tuple(notes),
    )


def _return_from(inside: list[tuple[int, str]], line: str, *, is_search: bool) -> None:
    """Leave each bridge this line is no longer about: OVS indents what a bridge does further than its heading.

    Only searches may be as far in as the heading itself.
    """
    if not line.strip(" -"):
        return
    while len(inside) > 1 and (_depth(line) < inside[-1][0] or (_depth(line) == inside[-1][0] and not is_search)):
        inside.pop()


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _lookup(bridge: str, table_id: int, text: str, names: PortNames) -> Lookup:
    found = _MATCHED.fullmatch(text)
    if found is None:
        return Lookup(bridge, table_id, None, 0, None, text)
    cookie = int(found["cookie"] or "0", 16)
    return Lookup(bridge, table_id, int(found["priority"]), cookie, _match(found["match"], names), text)


def _match(text: str, names: PortNames) -> Match | None:
    try:
        return parse_match(split(text), names)
    except CodecError:
        return None


def _outputs(actions: str) -> bool:
    """Whether datapath actions output to a port: a bare number, alone or in a clone. Ports have no names here."""
    flat = re.sub(r"\bclone\(", "(", actions)
    while (shorter := re.sub(r"[a-z_]\w*\([^()]*\)", "", flat)) != flat:
        flat = shorter
    return re.search(r"(?<!\w)\d+(?!\w)", flat) is not None
