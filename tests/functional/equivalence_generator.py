"""Turns random choices into a trace to arm and two VFDs' production flows to arm it on, as ovs-ofctl takes them.

Kept apart by ``Shape``, because ovs-vswitchd 3.1 aborts when ``ct`` recirculates an action set.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from equivalence_packets import Packet, in_six
from hypothesis import strategies as st

LAST_TABLE = 4
LEARNED_TABLE = 9
HELD_TABLE = 60
IPV4 = {"ip", "tcp", "udp", "icmp"}
SOMETIMES = st.integers(0, 3).map(lambda drawn: drawn == 3)
RARE = st.integers(0, 11).map(lambda drawn: drawn == 7)
VERY_RARE = st.integers(0, 199).map(lambda drawn: drawn == 77)


class Shape(Enum):
    """What one pipeline has beside plain flows."""

    PLAIN = "plain"
    ACTION_SETS = "action sets"
    TRACKING = "conntrack"


class Room(Enum):
    """What production leaves for the trace state."""

    REGISTERS = "several registers"
    ONE_REGISTER = "one register"
    PACKET_MARK = "pkt_mark only"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Line:
    """A production flow. ``match`` maps ovs-ofctl's names to values; a protocol's name has none."""

    table_id: int
    priority: int
    match: Mapping[str, str]
    actions: str
    idle_timeout: int = 0

    @property
    def key(self) -> tuple[int, int, tuple[tuple[str, str], ...]]:
        return self.table_id, self.priority, tuple(sorted(self.match.items()))

    def __str__(self) -> str:
        words = [f"cookie=0x77,table={self.table_id}", f"priority={self.priority}"]
        words += [f"idle_timeout={self.idle_timeout}"] if self.idle_timeout else []
        words += [name if not value else f"{name}={value}" for name, value in self.match.items()]
        return f"{','.join(words)} actions={self.actions}"


@dataclass(frozen=True)
class Wanted:
    """A task: its filter as match fields, the source ports on the first VFD, and its tenant's VNIs if known.

    ``six``: the filter is of IPv6. ``fragments``: they are colored as well, as once some were seen.
    """

    protocol: str
    addresses: Mapping[str, str]
    destination_port: int | None
    sources: tuple[int, ...]
    vnis: tuple[int, ...] | None
    six: bool = False
    fragments: bool = False


@dataclass(frozen=True)
class World:
    """Everything one comparison needs; ``far`` is the VFD behind the first one's patch port.

    ``aliased``: the tasks look for their packets behind NAT as well.
    """

    near: tuple[Line, ...]
    far: tuple[Line, ...]
    tasks: tuple[Wanted, ...]
    packets: tuple[Packet, ...]
    series: tuple[int, ...] = ()
    aliased: bool = False

    def __str__(self) -> str:
        parts = (("near", self.near), ("far", self.far), ("task", self.tasks), ("packet", self.packets))
        return "\n".join(f"{name}: {each}" for name, all_of_it in parts for each in all_of_it)


@dataclass
class _Scope:
    """Where a flow is drawn for."""

    shape: Shape
    table_id: int
    protocol: str = ""
    dscp: bool = False
    careful: bool = False
    match: dict[str, str] = field(default_factory=dict)


ADDRESSES = st.sampled_from(("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.0/24", "10.0.0.2/31", "10.0.9.0/24"))
PRIORITIES = st.sampled_from((*range(1, 9), *range(1, 9), 32768, 65533))
TOP_PRIORITIES = st.sampled_from((65532, 65533, 65534, 65535))
PROTOCOLS = ("", "", "ip", "ip", "tcp", "tcp", "udp", "icmp", "arp")
EVERYWHERE = (
    "output:1", "output:2", "output:2", "output:3", "output:4", "in_port", "LOCAL", "FLOOD", "ALL", "NORMAL", "NORMAL",
    "set_field:{n}->reg0", "set_field:{n}->reg1", "set_field:{n}/3->reg2", "load:{n}->NXM_NX_REG0[0..15]",
    "move:NXM_NX_REG0[0..15]->NXM_NX_REG1[0..15]", "output:NXM_NX_REG0[0..15]", "push:NXM_NX_REG0[]",
    "pop:NXM_NX_REG1[]", "set_field:02:00:00:00:00:0{n}->eth_dst", "set_field:{n}->in_port", "set_queue:3", "pop_queue",
    *("set_field:5001->tun_id,set_field:198.18.7.2->tun_dst,output:4",) * 6,
    "set_field:5001->tun_id,set_field:198.18.7.3->tun_dst,output:4",
    "set_field:7001->tun_id,set_field:198.18.7.2->tun_dst,output:4",
    "group:1", "group:4", "group:5", "note:01.02", "controller(id=9,max_len=60)", "controller(max_len=128)",
    "learn(table=9,idle_timeout=30,priority=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,9)",
    "learn(table=9,hard_timeout=9,NXM_OF_IN_PORT[],load:{n}->NXM_NX_REG2[0..3])",
    "check_pkt_larger(100)->NXM_NX_REG2[0]", "bundle(eth_src,0,active_backup,ofport,members:2,3)",
    "multipath(eth_src,50,modulo_n,2,0,NXM_NX_REG0[0..15])", "ct_clear",
)  # fmt: skip
ON_IP = (
    "dec_ttl", "dec_ttl", "mod_nw_dst:10.0.0.{n}", "mod_nw_src:10.0.0.{n}", "mod_nw_ttl:{n}", "mod_nw_ecn:{n}",
    "group:6", "move:NXM_OF_IP_DST[0..7]->NXM_NX_REG0[0..7]", "move:NXM_NX_REG0[0..1]->NXM_OF_IP_DST[0..1]",
)  # fmt: skip
LAST = ("exit,output:3", "drop")
IN_A_SET = ("output:2", "output:3", "output:4", "group:1", "dec_ttl,output:2", "set_field:{n}->reg1,output:3")
LEAKING = ("clone", "bundle", "multipath", "controller", "group:2")
TRACKED = ("ct(table={t},zone={n})", "ct(commit,table={t},zone={n})", "ct(table={t},nat)", "ct(commit)",
           "ct(commit,table={t},nat(src=10.0.0.9))", "ct(commit,nat(dst=10.0.0.3))")  # fmt: skip


def _one_of(draw: st.DrawFn, choices: Sequence[str]) -> str:
    drawn: str = draw(st.sampled_from(choices))
    return drawn


def _action(draw: st.DrawFn, scope: _Scope) -> str:
    drawn = _any_action(draw, scope)
    return "note:03" if scope.careful and any(word in drawn for word in LEAKING) else drawn


def _any_action(draw: st.DrawFn, scope: _Scope) -> str:
    kind = draw(st.integers(0, 19))
    later = draw(st.integers(scope.table_id + 1, LAST_TABLE)) if scope.table_id < LAST_TABLE else None
    if later is not None and kind < 6:
        return _one_of(
            draw, (f"resubmit(,{later})", f"resubmit(,{later})", f"resubmit(3,{later})", f"resubmit(,{later})")
        )
    if later is not None and kind == 6:
        return _one_of(draw, (f"clone(resubmit(,{later}))", "group:2", "group:3"))
    if kind == 7:
        return f"clone({_text(draw, scope, _one_of(draw, EVERYWHERE))})"
    if kind == 8:
        return _text(draw, scope, "push_vlan:0x8100,set_field:4101->vlan_vid,output:{n},pop_vlan")
    if scope.protocol in IPV4 and kind < 13:
        return _text(draw, scope, _one_of(draw, ON_IP))
    if scope.protocol in IPV4 and draw(VERY_RARE):
        return "mod_nw_tos:184"
    return _text(draw, scope, _one_of(draw, EVERYWHERE))


def _text(draw: st.DrawFn, scope: _Scope, form: str) -> str:
    return form.format(n=draw(st.integers(1, 3)), t=min(scope.table_id + 1, LAST_TABLE))


def _matched(draw: st.DrawFn, scope: _Scope) -> dict[str, str]:
    scope.protocol = _one_of(draw, PROTOCOLS)
    found = {scope.protocol: ""} if scope.protocol else {}
    if draw(SOMETIMES):
        found["in_port"] = str(draw(st.integers(1, 4)))
    if scope.protocol in IPV4:
        for name in ("nw_src", "nw_dst"):
            if draw(SOMETIMES):
                found[name] = draw(ADDRESSES)
        if scope.dscp and draw(SOMETIMES):
            found["nw_tos"] = _one_of(draw, ("184", "12", "40"))
        if draw(RARE):
            found["nw_ttl"] = _one_of(draw, ("1", "64"))
    if scope.protocol in {"tcp", "udp"} and draw(SOMETIMES):
        found["tp_dst"] = _one_of(draw, ("80", "443", "0x50/0xfff0"))
    if draw(RARE):
        found["vlan_tci"] = _one_of(draw, ("0x0000/0x1000", "0x1005/0x1fff"))
    for name in ("reg0", "reg1", "reg2"):
        if draw(RARE):
            found[name] = _one_of(draw, ("0", "1", "2/2"))
    if draw(RARE):
        found["metadata"] = "1/1"
    if draw(RARE):
        found["dl_dst"] = "02:00:00:00:00:03"
    return found


def _line(draw: st.DrawFn, scope: _Scope) -> Line:
    match = _matched(draw, scope)
    actions = [_action(draw, scope) for _ in range(draw(st.sampled_from((0, 1, 1, 2, 2, 3, 4))))]
    if draw(RARE):
        actions.append(_one_of(draw, LAST[:1]))
    if scope.shape is Shape.TRACKING and scope.protocol in IPV4 and draw(st.booleans()):
        match["ct_state"] = "-trk"  # or else ofproto/trace recirculates for ever
        actions.insert(0, _text(draw, scope, _one_of(draw, TRACKED)))
    elif scope.shape is Shape.TRACKING and draw(RARE):
        match |= {"ct_state": "+trk+new"}
    if draw(RARE):
        actions.insert(0, "meter:7")
    if scope.shape is Shape.ACTION_SETS and draw(SOMETIMES):
        inside = _text(draw, scope, _one_of(draw, IN_A_SET if scope.protocol in IPV4 else IN_A_SET[:4]))
        actions += [*(["clear_actions"] if draw(SOMETIMES) else []), f"write_actions({inside})"]
    if draw(RARE):
        actions.append("write_metadata:1/1")
    if scope.table_id < LAST_TABLE and draw(SOMETIMES):
        actions.append(f"goto_table:{draw(st.integers(scope.table_id + 1, LAST_TABLE))}")
    top = scope.table_id and draw(RARE)
    idle = 600 if not scope.careful and draw(RARE) else 0
    return Line(scope.table_id, draw(TOP_PRIORITIES if top else PRIORITIES), match, ",".join(actions) or "drop", idle)


def _conjunction(draw: st.DrawFn, scope: _Scope, number: int) -> list[Line]:
    priority = draw(st.integers(1, 8))
    clauses = (("nw_src", "10.0.0.1"), ("nw_src", "10.0.0.0/24")), (("nw_dst", "10.0.0.2"), ("nw_ttl", "64"))
    made = [
        Line(
            scope.table_id,
            priority,
            {"ip": "", **dict([draw(st.sampled_from(clause))])},
            f"conjunction({number},{at}/2)",
        )
        for at, clause in enumerate(clauses, 1)
    ]
    actions = ",".join(_action(draw, scope) for _ in range(draw(st.integers(1, 2))))
    return [*made, Line(scope.table_id, draw(st.integers(1, 8)), {"ip": "", "conj_id": str(number)}, actions)]


def _room(room: Room) -> list[Line]:
    """A flow that mentions registers."""
    if room is Room.REGISTERS:
        return []
    used = [f"reg{number}" for number in range(16) if room is not Room.ONE_REGISTER or number != 7]
    used += ["pkt_mark"] if room is Room.NOTHING else []
    return [Line(HELD_TABLE, 1, {}, ",".join(f"set_field:1->{name}" for name in used))]


@st.composite
def pipelines(draw: st.DrawFn, room: Room, shape: Shape, *, far: bool) -> tuple[Line, ...]:
    """One VFD's production flows; no two have the same key."""
    made: list[Line] = []
    dscp = draw(SOMETIMES)
    careful = room is Room.PACKET_MARK and draw(st.integers(0, 7)) > 0
    for table_id in range(LAST_TABLE + 1 if not far else 2):
        scope = _Scope(shape, table_id, dscp=dscp, careful=careful)
        made += [_line(draw, scope) for _ in range(draw(st.integers(1, 4)))]
        if draw(RARE):
            made += _conjunction(draw, _Scope(shape, table_id, "ip", careful=careful), table_id + 1)
        if draw(st.booleans()):
            rest = _Scope(shape, table_id, careful=careful)
            made.append(Line(table_id, 0, {}, ",".join(_action(draw, rest) for _ in range(draw(st.integers(1, 2))))))
    made.append(Line(LEARNED_TABLE, 0, {}, "NORMAL"))
    made += _room(room)
    return tuple({line.key: line for line in made}.values())


@st.composite
def wanted(draw: st.DrawFn, slot: int) -> Wanted:
    protocol = _one_of(draw, ("ip", "ip", "tcp", "udp"))
    addresses = {"nw_src": "10.0.0.1"} if slot == 0 else {"nw_src": "10.0.0.3"}
    if draw(st.booleans()):
        addresses["nw_dst"] = _one_of(draw, ("10.0.0.2", "10.0.0.0/24"))
    port = 80 if protocol != "ip" and draw(st.booleans()) else None
    vnis = draw(st.sampled_from((None, (5001,), (5001, 5002))))
    return Wanted(protocol, addresses, port, draw(st.sampled_from(((1,), (1,), (1, 3)))), vnis)


PACKETS = st.builds(
    Packet,
    in_port=st.sampled_from((1, 1, 1, 3, 3, 4)),
    protocol=st.sampled_from(("tcp", "tcp", "udp", "icmp", "arp")),
    source=st.sampled_from(("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "172.16.0.1")),
    destination=st.sampled_from(("10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.9.9")),
    destination_port=st.sampled_from((80, 443, 22)),
    tos=st.sampled_from((0, 0, 1, 2, 12, 28, 45, 184)),
    ttl=st.sampled_from((1, 2, 64, 64)),
    vlan=st.sampled_from((None, None, None, 5)),
    eth_dst=st.integers(2, 4),
)


def _aimed(packet: Packet, line: Line) -> Packet:
    """The packet changed so that it meets what a flow asks of headers."""
    match = line.match
    protocol = next((name for name in match if name in {"tcp", "udp", "icmp", "arp"}), packet.protocol)
    address = {"10.0.0.0/24": "10.0.0.7", "10.0.0.2/31": "10.0.0.3", "10.0.9.0/24": "10.0.9.9"}
    source, destination = match.get("nw_src", packet.source), match.get("nw_dst", packet.destination)
    port = match.get("tp_dst", str(packet.destination_port)).partition("/")[0]
    return Packet(
        int(match.get("in_port", packet.in_port)) if match.get("in_port") != "2" else packet.in_port,
        "tcp" if protocol == "arp" and "ip" in match else protocol,
        address.get(source, source) if source != "10.0.0.0/24" else packet.source,
        address.get(destination, destination),
        int(port, 0),
        int(match["nw_tos"]) if "nw_tos" in match else packet.tos,
        int(match.get("nw_ttl", packet.ttl)),
        5 if match.get("vlan_tci", "").startswith("0x1005") else packet.vlan if "vlan_tci" not in match else None,
        3 if "dl_dst" in match else packet.eth_dst,
    )


_SIX = {"ip": "ipv6", "tcp": "tcp6", "udp": "udp6", "icmp": "icmp6", "nw_src": "ipv6_src", "nw_dst": "ipv6_dst"}


def _line_in_six(line: Line) -> Line:
    """An IPv4 flow as one of IPv6."""
    addresses = {"nw_src", "nw_dst"}
    match = {_SIX.get(key, key): in_six(value) if key in addresses else value for key, value in line.match.items()}
    actions = re.sub(
        r"mod_nw_(src|dst):([0-9.]+)", lambda found: f"set_field:{in_six(found[2])}->ipv6_{found[1]}", line.actions
    )
    actions = re.sub(r"nat\((src|dst)=([0-9.]+)\)", lambda found: f"nat({found[1]}={in_six(found[2])})", actions)
    return replace(line, match=match, actions=actions.replace("NXM_OF_IP_DST", "NXM_NX_IPV6_DST"))


def _dual(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The flows, those of IPv4 for IPv6 as well."""
    conjunctive = {"conj_id"}
    six = (_line_in_six(line) for line in lines if set(line.match) & IPV4 and not set(line.match) & conjunctive)
    return (*lines, *(line for line in six if "conjunction" not in line.actions))


def _seldom(draw: st.DrawFn, packet: Packet, *, dual: bool) -> Packet:
    """A few packets are fragments; about half of those on a dual-stack VFD are of IPv6."""
    if packet.protocol == "arp":
        return packet
    packet = replace(packet, six=dual and draw(st.booleans()))
    return replace(packet, fragment=_one_of(draw, ("first", "later"))) if draw(RARE) else packet


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Two VFDs, a task or two, and a packet for every production flow of the first VFD beside some others."""
    room = draw(st.sampled_from((*(Room.REGISTERS,) * 8, *(Room.ONE_REGISTER,) * 5, *(Room.PACKET_MARK,) * 7, *Room)))
    shapes = tuple(Shape) if room in {Room.REGISTERS, Room.ONE_REGISTER} else (Shape.PLAIN, Shape.TRACKING)
    shape = draw(st.sampled_from(shapes))
    near, far = draw(pipelines(room, shape, far=False)), draw(pipelines(room, shape, far=True))
    tasks: tuple[Wanted, ...] = (draw(wanted(0)),) if draw(st.integers(0, 4)) else (draw(wanted(0)), draw(wanted(1)))
    dual, aliased = draw(SOMETIMES), draw(SOMETIMES)
    tasks = tuple(replace(task, six=dual and draw(st.booleans()), fragments=draw(RARE)) for task in tasks)
    packets = [_aimed(draw(PACKETS), line) for line in near if line.table_id <= LAST_TABLE]
    packets += draw(st.lists(PACKETS, min_size=3, max_size=3))
    through = [_seldom(draw, _through(draw, packet), dual=dual) for packet in packets]
    if dual:
        near, far = _dual(near), _dual(far)
    series = draw(st.sampled_from(((), (), (46,))))
    return World(near, far, tasks, tuple(dict.fromkeys(through)), series, aliased)


def _through(draw: st.DrawFn, packet: Packet) -> Packet:
    """A packet that comes by the tunnel has a VNI."""
    return replace(packet, vni=draw(st.sampled_from((5001, 5001, 7001)))) if packet.in_port == 4 else packet
