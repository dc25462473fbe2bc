"""Turns a live bridge's production flows into packets, one each and more, and ``ofproto/trace`` of them into pictures.

Two pictures of one packet, before and during a trace, are held against each other as in ``equivalence_rules``, but for
what is not known here: whose the marks are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from signal import SIGINT

from datapath_actions import Departure, copies
from equivalence_rules import Pass, passes
from openflow_peer import OpenFlowPeer
from vtrace_program import DEADLINE, Vtrace, await_that

from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.ovsdb.unixctl import control_socket

ADDRESSES = {"ipv4_src": "nw_src", "ipv4_dst": "nw_dst"}
NUMBERS = {"in_port", "tun_id", "tcp_src", "tcp_dst", "udp_src", "udp_dst"}
LAYERS = {6: "tcp", 17: "udp"}
FiveTuple = tuple[str, str, str]
"""Source, destination and destination port of UDP traffic."""
IP = 0x0800


@dataclass(frozen=True)
class Sent:
    """A UDP, TCP or ICMP packet in ``ofproto/trace``'s words; ``fields`` but for its protocol and DSCP."""

    fields: Mapping[str, str]
    protocol: int = 17
    tos: int = 0

    @property
    def in_port(self) -> int:
        return int(self.fields["in_port"])

    def is_of(self, source: str, destination: str, port: str) -> bool:
        """Whether this may be a UDP packet of a task with this filter, whichever port it comes by."""
        said = tuple(self.fields[name] for name in ("nw_src", "nw_dst", "udp_dst"))
        return said == (source, destination, port) and self.protocol == 17

    @property
    def text(self) -> str:
        layer = LAYERS.get(self.protocol)
        ours = {
            name: value for name, value in self.fields.items() if name[:3] not in {"tcp", "udp"} or name[:3] == layer
        }
        return ",".join([f"dl_type={IP:#x},nw_proto={self.protocol},nw_ttl=64,nw_tos={self.tos}",
                         *(f"{name}={value}" for name, value in ours.items())])  # fmt: skip


def packets(flows: Sequence[Flow], ports: Sequence[int], base: Sent) -> tuple[Sent, ...]:
    """The base packet at every port, and changed so that it meets what each flow asks of headers."""
    found = [replace(base, fields={**base.fields, "in_port": str(port)}) for port in ports]
    for flow in flows:
        fields = dict(_met(flow, base))
        protocol = next((each.value for each in flow.match.fields if each.field.name == "ip_proto"), base.protocol)
        if all(each.field.name != "eth_type" or each.value == IP for each in flow.match.fields):
            found.append(replace(base, fields=fields, protocol=protocol))
            found.append(replace(base, fields=fields, protocol=protocol, tos=184))
    return tuple({packet.text: packet for packet in found}.values())


def _met(flow: Flow, base: Sent) -> Iterator[tuple[str, str]]:
    yield from base.fields.items()
    for each in flow.match.fields:
        name = each.field.name
        if name in ADDRESSES:
            yield ADDRESSES[name], str(IPv4Address(each.value))
        elif name in NUMBERS:
            yield name, str(each.value)
        elif name in {"eth_src", "eth_dst"}:
            yield f"dl_{name[4:]}", each.value.to_bytes(6).hex(":")


@dataclass(frozen=True, eq=False)
class LiveBridge:
    """A bridge somebody else programs."""

    ovs: OvsInstance
    name: str

    def production(self) -> tuple[Flow, ...]:
        peer = OpenFlowPeer(self.ovs.management_socket(self.name))
        found = tuple(flow for flow in peer.flows() if not is_ours(flow.cookie))
        peer.close()
        return found

    def carries_ours(self) -> int:
        peer = OpenFlowPeer(self.ovs.management_socket(self.name))
        found = sum(is_ours(flow.cookie) for flow in peer.flows())
        peer.close()
        return found

    def traces(self, sent: Sequence[Sent]) -> list[list[Pass]]:
        with control_socket(self.ovs.directory, DEADLINE) as control:
            return [passes(text) for text in control.run(*(("ofproto/trace", self.name, each.text) for each in sent))]


def assert_same_while_armed(
    program: Vtrace, arguments: Sequence[str], sent: Mapping[LiveBridge, Sequence[Sent]], five_tuple: FiveTuple
) -> None:
    """Arm a task for traffic that nobody sends; every packet of every bridge does what it did before.

    Bridges that the traffic cannot come to are not armed, and are looked at all the same.
    """
    before = {bridge: bridge.traces(of_it) for bridge, of_it in sent.items()}
    n_copied = 0
    with program.started("run", *arguments, "-n", "5", "-t", "25") as process:
        await_that(lambda: process.poll() is not None or program.state() == "armed", program.state)
        assert process.poll() is None, process.communicate()
        assert sum(bool(bridge.carries_ours()) for bridge in sent) > 1
        for bridge, of_it in sent.items():
            for packet, then, now in zip(of_it, before[bridge], bridge.traces(of_it), strict=True):
                traced = packet.is_of(*five_tuple)
                told = difference(then, now, traced=traced)
                assert told is None, f"{bridge.ovs.directory} {bridge.name}: {packet.text}\n{told}"
                n_copied += traced and "0x5654" in str(now)
        process.send_signal(SIGINT)
        process.communicate(timeout=DEADLINE)
    assert n_copied > 0
    assert sum(map(len, sent.values())) > 200
    assert not any(bridge.carries_ours() for bridge in sent)


def difference(before: Sequence[Pass], after: Sequence[Pass], *, traced: bool) -> str | None:
    """What is wrong; a traced packet may be copied, and carry another DSCP inside a tunnel."""
    wrong = [
        name
        for then, now in zip(before, after, strict=False)
        for name, same in (
            ("copies", traced or not copies(now.actions)),
            ("final flow", traced or then.final == now.final),
            ("packets", _same(then.departures, now.departures, traced=traced)),
        )
        if not same
    ]
    wrong += ["passes"] if len(before) != len(after) else []
    return "\n".join([*wrong, *map(str, before), "---", *map(str, after)]) if wrong else None


def _same(then: tuple[Departure, ...], now: tuple[Departure, ...], *, traced: bool) -> bool:
    return len(then) == len(now) and all(_alike(*pair, traced=traced) for pair in zip(then, now, strict=True))


def _alike(then: Departure, now: Departure, *, traced: bool) -> bool:
    if traced and not then.leaves:
        then, now = then.without("skb_mark"), now.without("skb_mark")
    if traced and then.in_tunnel:
        return then.without_dscp() == now.without_dscp() and then.tos & 3 == now.tos & 3
    return then == now or (then.action == now.action and then.action.startswith("meter("))
