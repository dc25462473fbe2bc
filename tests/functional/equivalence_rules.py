"""Turns what ``ofproto/trace`` said of one packet before and after arming into whether anybody could notice.

A packet that is no task's must not differ at all; for a packet that came by a port we do not watch, neither may its
megaflow. A traced packet may differ by our copies, and in DSCP inside a tunnel toward a VFD that will put it right.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import ip_address

from datapath_actions import Departure, copies, departures, number
from equivalence_packets import Packet, in_six
from vfd_chain import VTEP_2, bridge_id

from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.oxm import PKT_MARK
from vtrace_ovs.model.packet import IpFamily

TUNNEL_PORT = 4
NAMES = {
    "dl_src": "eth.src", "dl_dst": "eth.dst", "nw_src": "ipv4.src", "nw_dst": "ipv4.dst", "nw_ttl": "ipv4.ttl",
    "pkt_mark": "skb_mark", "arp_op": "arp.op", "arp_spa": "arp.sip", "arp_tpa": "arp.tip", "arp_sha": "arp.sha",
    "arp_tha": "arp.tha", "ipv6_src": "ipv6.src", "ipv6_dst": "ipv6.dst", "ipv6_label": "ipv6.label",
}  # fmt: skip


class Kind(Enum):
    """What a packet is to the tasks."""

    ELSEWHERE = "other ports"
    OTHER = "other traffic of a watched port"
    WATCHED = "reported, not traced"
    TRACED = "traced"
    FORGED = "a code point of ours that a tenant sent to the next VFD"


@dataclass(frozen=True)
class Pass:
    """One pass of a packet through a datapath: what it came as, what it was at the end, the megaflow, the actions."""

    flow: str
    final: str
    megaflow: str
    actions: str
    crosses: bool

    @property
    def came(self) -> dict[str, str]:
        """The packet's fields in the datapath's names."""
        words = dict(word.partition("=")[::2] for word in self.flow.split(","))
        layer = self.flow.partition(",")[0] if "tp_src" in words else ""
        layer = next((name for name in ("tcp", "udp") if re.search(rf"\b{name}6?\b", self.flow)), layer)
        named = {**NAMES, "tp_src": f"{layer}.src", "tp_dst": f"{layer}.dst"}
        named["nw_ttl"] = "ipv6.hlimit" if "ipv6_src" in words else NAMES["nw_ttl"]
        found = {named[name]: value for name, value in words.items() if name in named}
        return {name: value if (at := number(value)) is None else f"{at:#x}" for name, value in found.items()}

    @property
    def tos(self) -> int:
        words = dict(word.partition("=")[::2] for word in self.flow.split(","))
        return int(words.get("nw_tos", "0"), 0) | int(words.get("nw_ecn", "0"), 0)

    @property
    def departures(self) -> tuple[Departure, ...]:
        return departures(self.actions, self.tos, self.came)


def passes(text: str) -> list[Pass]:
    """The passes of one ``ofproto/trace``, in its order: the first, then one per recirculation.

    When the first pass fails, the datapath drops the packet, but trace goes on with copies that never were: cut off.
    """
    found = []
    sections = re.split(r"={79}\n.*\n={79}\n", text)
    for section in sections[:1] if "Translation failed" in sections[0] else sections:
        parts = {
            name: re.search(rf"^{name}: (.*)$", section, re.MULTILINE)
            for name in ("Flow", "Final flow", "Megaflow", "Datapath actions")
        }
        flow, final, megaflow, actions = (_plain(part[1]) if part else "" for part in parts.values())
        if "Translation failed" in section:
            final, megaflow, actions = "", "", "drop"  # what it says else never happens
        crosses = 'bridge("far")' in section
        found.append(Pass(flow, flow if final == "unchanged" else final, megaflow, actions, crosses))
    return found


def _plain(text: str) -> str:
    return re.sub(r"\brecirc_id=0x[0-9a-f]+", "recirc_id=", text)


@dataclass(frozen=True)
class Trial:
    """One packet before and after; ``difference`` says what is wrong, None for nothing."""

    packet: Packet
    kind: Kind
    copies: int = 0
    marked: int = 0
    recirculated: int = 0
    difference: str | None = None


@dataclass
class Arms:
    """What is armed for one world."""

    tasks: tuple[ArmedTask, ...]
    marks: MarkPlan
    plans: dict[str, BridgePlan] = field(default_factory=dict)

    def kind(self, packet: Packet, *, crosses: bool) -> Kind:
        """What a packet is to these tasks; ``crosses`` says that it reaches the second VFD, through a watched port."""
        mark = None if packet.protocol == "arp" else self.marks.mark(packet.tos >> 2)
        mine = next((task for task in self.tasks if _covers(task, packet)), None)
        if packet.in_port == TUNNEL_PORT:
            known = mine is not None and (mine.vnis is None or packet.vni in mine.vnis)
            if mark is None:
                return Kind.OTHER
            return Kind.TRACED if known else Kind.FORGED if crosses else Kind.WATCHED
        beside = packet.protocol == "arp" or packet.asks or any(_heard(task, packet) for task in self.tasks)
        mine = next((task for task in self.tasks if _enters(task, packet)), None)
        at_source = any(packet.in_port in task.ofports(bridge_id("near")) for task in self.tasks)
        if beside and at_source and mine is None and not (mark is not None and crosses):
            return Kind.WATCHED
        if mine is not None and packet.in_port in mine.ofports(bridge_id("near")):
            return (
                Kind.TRACED if packet.tos >> 2 in self.marks.series else Kind.WATCHED if mark is None else Kind.FORGED
            )
        if mark is not None:
            return Kind.FORGED if crosses else Kind.WATCHED
        watched = frozenset(port for task in self.tasks for port in task.ofports(bridge_id("near")))
        return Kind.OTHER if crosses or packet.in_port in watched else Kind.ELSEWHERE

    @property
    def in_packet_mark(self) -> bool:
        """Whether pkt_mark holds the state on a VFD."""
        return any(plan.state.field is PKT_MARK for plan in self.plans.values())

    def clean(self, packet: Packet) -> Packet:
        """The packet as its tenant sent it: a marked one of a task gets its own DSCP back."""
        mark = self.marks.mark(packet.tos >> 2)
        if packet.in_port != TUNNEL_PORT or mark is None or self.kind(packet, crosses=True) is not Kind.TRACED:
            return packet
        return replace(packet, tos=mark.dscp << 2 | packet.tos & 3)


def _covers(task: ArmedTask, packet: Packet) -> bool:
    """Whether a packet may be of a task wherever it is met."""
    return any(_fits(wanted, packet, fragments=task.fragments) for wanted in task.filters)


def _enters(task: ArmedTask, packet: Packet) -> bool:
    at_source = packet.in_port in task.ofports(bridge_id("near"))
    return at_source and _fits(task.filter, packet, fragments=task.fragments)


def _heard(task: ArmedTask, packet: Packet) -> bool:
    """Whether this is a fragment that may be of a task."""
    return bool(packet.fragment) and _fits(task.filter, packet, fragments=True)


def _fits(wanted: Filter, packet: Packet, *, fragments: bool) -> bool:
    if packet.protocol == "arp" or packet.six is not (wanted.family is IpFamily.IPV6):
        return False
    loose = bool(packet.fragment) and fragments
    hidden = packet.six and packet.fragment == "later"
    if wanted.protocol is not None and not (hidden and loose):
        number = _IN_SIX[packet.protocol] if packet.six else _NUMBERS[packet.protocol]
        if hidden or wanted.protocol != number:
            return False
    port = 0 if packet.fragment else packet.destination_port
    if wanted.destination_port is not None and not loose and wanted.destination_port != port:
        return False
    there = in_six if packet.six else str
    pairs = ((wanted.source, packet.source), (wanted.destination, packet.destination))
    return all(network is None or ip_address(there(address)) in network for network, address in pairs)


_NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1}
_IN_SIX = {**_NUMBERS, "icmp": 58}
LOOSE = ("pkt_mark", "nw_ttl", "nw_tos", "nw_src", "nw_dst", "tp_dst", "ip", *_NUMBERS)
CONNTRACK = ("ct_state", "ct_zone", "ct_mark")


def judged(arms: Arms, packet: Packet, before: list[Pass], after: list[Pass]) -> Trial:
    """Hold one packet's passes against each other."""
    kind = arms.kind(packet, crosses=any(each.crosses for each in before))
    found = list(_differences(arms, kind, before, after))
    marked = sum(
        now.dscp != then.dscp
        for one, other in zip(before, after, strict=False)
        for then, now in zip(one.departures, other.departures, strict=False)
        if then.in_tunnel
    )
    told = "\n".join([f"{kind.value}: {packet.text}", *found, *map(str, before), "---", *map(str, after)])
    return Trial(
        packet,
        kind,
        sum(copies(each.actions) for each in after),
        marked,
        len(before) - 1,
        told if found else None,
    )


def _differences(arms: Arms, kind: Kind, before: list[Pass], after: list[Pass]) -> Iterator[str]:
    if len(before) != len(after):
        yield f"{len(before)} passes became {len(after)}"
        return
    for at, (then, now) in enumerate(zip(before, after, strict=True)):
        if kind in {Kind.ELSEWHERE, Kind.OTHER}:
            if copies(now.actions):
                yield f"pass {at}: a copy of a packet that is not ours"
            if (then.flow, then.final) != (_without_state(arms, now.flow), _without_state(arms, now.final)):
                yield f"pass {at}: another final flow"
        elif _without_state(arms, then.final) != _without_state(arms, now.final) and kind is not Kind.FORGED:
            yield f"pass {at}: another final flow"
        if kind is Kind.ELSEWHERE and _megaflow(arms, then.megaflow) != _megaflow(arms, now.megaflow):
            yield f"pass {at}: another megaflow"
        left, leaves = then.departures, now.departures
        if len(left) != len(leaves) or not all(
            _allowed(arms, kind, one, other) for one, other in zip(left, leaves, strict=True)
        ):
            yield f"pass {at}: other packets leave"


def _allowed(arms: Arms, kind: Kind, then: Departure, now: Departure) -> bool:
    if then == now:
        return True
    if then.action == now.action and then.action.startswith(
        "meter("
    ):  # our copy before it: what was pending is written
        return kind not in {Kind.ELSEWHERE, Kind.OTHER} and (then.passed, then.inside) == (now.passed, now.inside)
    if kind in {Kind.ELSEWHERE, Kind.OTHER}:
        return False
    if not then.leaves and arms.in_packet_mark:
        then, now = then.without("skb_mark"), now.without("skb_mark")
    if kind is Kind.FORGED:
        return then.without_dscp() == now.without_dscp()
    return then == now or (kind is Kind.TRACED and _is_mark(arms, then, now))


def _megaflow(arms: Arms, megaflow: str) -> str:
    """What of a megaflow must be the same.

    A clone is searched before its flow, so a megaflow may come to look at conntrack fields of flows as high as the one
    that was hit. With pkt_mark for state, all megaflows look at it, and at more of what table 0 matches.
    """
    loose = {*CONNTRACK, *(LOOSE if arms.in_packet_mark else ())}
    return ",".join(word for word in megaflow.split(",") if word.partition("=")[0] not in loose)


def _without_state(arms: Arms, flow: str) -> str:
    name = arms.plans["near"].state.field.name
    if arms.in_packet_mark and name != "pkt_mark":
        name = f"(?:{name}|pkt_mark)"
    return re.sub(rf"\b{name}=0x[0-9a-f]+,", "", flow)


def _is_mark(arms: Arms, then: Departure, now: Departure) -> bool:
    """Whether the two differ by a mark, toward the armed VFD in a VNI of a task."""
    if then.without_dscp() != now.without_dscp() or then.tunnel is None or then.tos & 3 != now.tos & 3:
        return False
    endpoint, vni = then.tunnel
    allowed = any(task.vnis is None or vni in task.vnis for task in arms.tasks)
    mark = arms.marks.mark(now.dscp)
    return endpoint == VTEP_2 and allowed and mark is not None and mark.dscp == then.dscp
