"""Turns traffic into a filter for ``dpctl/dump-flows``, and what that prints into datapath flows and what they do.

The text is that of dpctl(8) with ``-m --no-names``: matches are written whole, and ports are the datapath's numbers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from vtrace_ovs.model.datapath import DatapathQuestion, TunnelEnds
from vtrace_ovs.model.filter import Filter, IPNetwork
from vtrace_ovs.model.packet import IpFamily, IpProtocol, family_of

_FLOW = re.compile(
    r"ufid:(?P<ufid>[0-9a-f-]+), (?P<key>.*?), packets:\d+, bytes:\d+, used:(?P<used>\S+?),.* actions:(?P<rest>.*)"
)
_EXTRA = ", dp-extra-info:"
_SLOW_PATH = "slow_path("
_FIRST_ACTIONS = re.compile(r"^Datapath actions: (.*)$", re.MULTILINE)
_ELSEWHERE = re.compile(r"(?<!\w)(?:tnl_pop\(\d+\)|recirc(?=\())")
_GROUP = re.compile(r"(?<!\w)[a-z_]\w*\([^()]*\)")
_INSIDE = re.compile(r"(?<!\w)(?:clone|check_pkt_len|gt|le)\(")
_PORT = re.compile(r"(?<![^,(])\d+(?![^,)])")
_IGNORED = re.compile(r"(?:(?<=\()|(?<=,))[\w-]+=[^,()]*/(?:0|0x0|0\.0\.0\.0|::|00:00:00:00:00:00)(?:,|(?=\)))")
_EMPTY = re.compile(r"(?:^|,)\w+\((?:[^()/]*/0(?:x0)?)?\)")
_PORTS: dict[int, str] = {IpProtocol.TCP: "tcp", IpProtocol.UDP: "udp", 132: "sctp"}
_IP_HEADER = re.compile(r"(?<!\w)ipv[46]\(([^()]*)\)")
_DSCP_BITS = 0xFC
_TYPES = {IpFamily.IPV4: ("0x0800", "nw", "tun"), IpFamily.IPV6: ("0x86dd", "ipv6", "tun_ipv6")}


@dataclass(frozen=True, slots=True)
class DatapathFlow:
    """A datapath flow. ``key`` is its match with every field, as ``ofproto/trace`` takes it.

    ``used`` is how long ago it met a packet (seconds), None if it never did.
    """

    ufid: str
    key: str
    actions: str
    used: float | None

    @property
    def tunnelled(self) -> bool:
        """Whether its packets come out of a tunnel."""
        return re.search(r"(?<!\w)tunnel\(", self.key) is not None

    @property
    def megaflow(self) -> str:
        """What of its key it matches on."""
        return _EMPTY.sub("", _IGNORED.sub("", self.key).replace(",)", ")")).lstrip(",")


def inner_filter(question: DatapathQuestion) -> str:
    """Flows that packets in question may meet, in the tunnel if there is one; some others too (``may_meet``)."""
    traffic = question.traffic
    return ",".join((*_tunnel(question), *_macs(question.macs), *_addresses(traffic), *_ports(traffic)))


def outer_filter(tunnel: TunnelEnds) -> str | None:
    """Flows that packets between the tunnel's ends may meet; None where an end is not known."""
    source, destination = tunnel
    if source is None or destination is None:
        return None
    eth_type, prefix, _ = _TYPES[family_of(source)]
    return f"dl_type={eth_type},{prefix}_src={source},{prefix}_dst={destination}"


def _tunnel(question: DatapathQuestion) -> Iterator[str]:
    if question.vni is not None:
        yield f"tun_id={question.vni:#x}"
    for side, address in zip(("src", "dst"), question.tunnel or (), strict=False):
        if address is not None:
            yield f"{_TYPES[family_of(address)][2]}_{side}={address}"


def _macs(macs: tuple[str, str] | None) -> Iterator[str]:
    if macs is not None:
        yield from (f"dl_src={macs[0]}", f"dl_dst={macs[1]}")


def _addresses(traffic: Filter) -> Iterator[str]:
    """``dpctl`` takes whole addresses only."""
    eth_type, prefix, _ = _TYPES[traffic.family]
    yield f"dl_type={eth_type}"
    for side, network in (("src", traffic.source), ("dst", traffic.destination)):
        if network is not None and network.num_addresses == 1:
            yield f"{prefix}_{side}={network.network_address}"
    if traffic.protocol is not None:
        yield f"nw_proto={traffic.protocol}"


def _ports(traffic: Filter) -> Iterator[str]:
    """None of later fragments, which have none."""
    layer = None if traffic.protocol is None else _PORTS.get(traffic.protocol)
    for side, port in (("src", traffic.source_port), ("dst", traffic.destination_port)):
        if layer is not None and port is not None:
            yield f"{layer}_{side}={port}"


def may_meet(flow: DatapathFlow, question: DatapathQuestion) -> bool:
    """Whether packets in question may meet a flow, as to what ``dpctl`` cannot be asked for: networks and DSCPs."""
    header = _IP_HEADER.search(flow.key)
    looked_at = {} if header is None else dict(field.split("=", 1) for field in header[1].split(","))
    dscp = looked_at.get("tos", looked_at.get("tclass"))
    return (
        _within(looked_at.get("src"), question.traffic.source)
        and _within(looked_at.get("dst"), question.traffic.destination)
        and (dscp is None or not question.dscps or any(_marked(dscp, one) for one in question.dscps))
    )


def _within(told: str | None, wanted: IPNetwork | None) -> bool:
    """``told`` is an address, with a mask where the flow looks at a part of it."""
    if told is None or wanted is None:
        return True
    value, _, mask = told.partition("/")
    looked_at = int(wanted.netmask) & (int(ip_address(mask)) if mask else -1)
    return not (int(ip_address(value)) ^ int(wanted.network_address)) & looked_at


def _marked(told: str, dscp: int) -> bool:
    value, _, mask = told.partition("/")
    return not (int(value, 0) ^ dscp << 2) & _DSCP_BITS & (int(mask, 0) if mask else -1)


def datapath_flows(dump: str) -> tuple[DatapathFlow, ...]:
    """The flows of a ``dpctl/dump-flows -m --no-names``."""
    return tuple(
        DatapathFlow(found["ufid"], found["key"], found["rest"].partition(_EXTRA)[0], _seconds(found["used"]))
        for found in map(_FLOW.match, dump.splitlines())
        if found is not None
    )


def _seconds(used: str) -> float | None:
    return None if used == "never" else float(used.removesuffix("s"))


def traced_actions(answer: str) -> str | None:
    """What ``ofproto/trace`` says a packet's first datapath flow does; None if it does not say."""
    found = _FIRST_ACTIONS.search(answer)
    return None if found is None else found[1]


def left_out(actions: str, told: str) -> tuple[str, ...]:
    """Which outputs (``port 3``), ends of tunnels and other passes datapath actions leave out of what they should do.

    What ovs-vswitchd does itself for a packet (the slow path) is not in the actions.
    """
    return () if _SLOW_PATH in actions else tuple(sorted(_ends(told) - _ends(actions)))


def _ends(actions: str) -> frozenset[str]:
    """Where actions send packets: ports (in a clone and by size too), tunnels they come out of, another pass."""
    ends = frozenset(end.replace("recirc", "another pass") for end in _ELSEWHERE.findall(actions))
    flat = _INSIDE.sub("(", actions)
    while (shorter := _GROUP.sub("", flat)) != flat:
        flat = shorter
    return ends | frozenset(f"port {number}" for number in _PORT.findall(flat))
