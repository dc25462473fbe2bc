"""Turns traffic into a filter for ``dpctl/dump-flows``, and what that prints into datapath flows and what they do.

The text is that of dpctl(8) with ``-m --no-names``: matches are written whole, and ports are the datapath's numbers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vtrace_ovs.model.datapath import DatapathQuestion
from vtrace_ovs.model.packet import FiveTuple, IPAddress, IpFamily, IpProtocol, Tunnel, family_of

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
    """Flows that a packet of the five-tuple may meet, in the tunnel if there is one."""
    five_tuple = question.five_tuple
    return ",".join((*_tunnel(question.tunnel), *_macs(question.macs), *_addresses(five_tuple), *_ports(five_tuple)))


def outer_filter(tunnel: Tunnel) -> str | None:
    """Flows that packets between the tunnel's ends may meet; None where an end is not known."""
    if tunnel.source is None or tunnel.destination is None:
        return None
    return ",".join(_between(tunnel.source, tunnel.destination))


def _tunnel(tunnel: Tunnel | None) -> Iterator[str]:
    if tunnel is None:
        return
    yield f"tun_id={tunnel.vni:#x}"
    for side, address in (("src", tunnel.source), ("dst", tunnel.destination)):
        if address is not None:
            yield f"{_TYPES[family_of(address)][2]}_{side}={address}"


def _macs(macs: tuple[str, str] | None) -> Iterator[str]:
    if macs is not None:
        yield from (f"dl_src={macs[0]}", f"dl_dst={macs[1]}")


def _addresses(five_tuple: FiveTuple) -> Iterator[str]:
    yield from _between(five_tuple.source, five_tuple.destination)
    yield f"nw_proto={five_tuple.protocol}"


def _between(source: IPAddress, destination: IPAddress) -> Iterator[str]:
    eth_type, prefix, _ = _TYPES[family_of(source)]
    yield f"dl_type={eth_type}"
    yield f"{prefix}_src={source}"
    yield f"{prefix}_dst={destination}"


def _ports(five_tuple: FiveTuple) -> Iterator[str]:
    """None of later fragments, which have none."""
    layer = _PORTS.get(five_tuple.protocol)
    if layer is not None and five_tuple.source_port is not None:
        yield f"{layer}_src={five_tuple.source_port}"
    if layer is not None and five_tuple.destination_port is not None:
        yield f"{layer}_dst={five_tuple.destination_port}"


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
