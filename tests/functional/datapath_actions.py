"""Turns the datapath actions ``ofproto/trace`` prints into what leaves a bridge: which packet, in which order.

The packet is followed through every ``set``, tag, ``clone`` and ``check_pkt_len``, so it does not matter in which order
or how often a field is written on the way. Read conservatively: an action this reader does not know is kept as it is,
so that any difference in it shows. What cannot be undone (a meter may drop the packet, ``ct`` may translate it) stays
with the packet, so that it shows too when a ``clone`` that kept it from later actions is gone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

TOS = "tos"
"""The TOS byte of IPv4 and the traffic class of IPv6."""
TOS_NAMES = {"ipv4.tos": TOS, "ipv6.tclass": TOS}
CONTROLLER_COPY = re.compile(
    r"sample\(sample=100\.0%,actions\(meter\(\d+\),userspace\(.*rule_cookie=0x5654[0-9a-f]{12},.*max_len=192.*\)\)\)"
)
NUMBERED = re.compile(r"recirc(\(0x[0-9a-f]+\)|_id=\d+)")
EXPIRED = re.compile(r"(controller\(reason=2,.*rule_cookie=)0x[0-9a-f]+")
FINAL = ("meter(", "ct(", "trunc(")
ETHERNET = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
TUNNEL = re.compile(r"ipv4\([^)]*dst=([0-9.]+),.*vni=(0x[0-9a-f]+)")
CONTAINERS = {"clone", "check_pkt_len", "gt", "le", "sample", "actions"}
STACKED = {"push_vlan", "push_mpls", "push_eth"}
UNSTACKED = {"pop_vlan", "pop_mpls", "pop_eth"}
State = Mapping[str, str]


@dataclass(frozen=True)
class Departure:
    """One thing that happens to the packet, under which conditions, and the packet it happens to.

    ``rewritten`` are the fields written so far or known from the beginning; ``tags`` the headers pushed and popped,
    ``passed`` what it went through that cannot be undone.
    """

    action: str
    rewritten: frozenset[tuple[str, str]]
    tags: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()

    @property
    def tos(self) -> int:
        return int(dict(self.rewritten)[TOS], 0)

    @property
    def dscp(self) -> int:
        return self.tos >> 2

    @property
    def in_tunnel(self) -> bool:
        return "tnl_push" in self.action

    @property
    def leaves(self) -> bool:
        """Whether this hands the packet to a port."""
        return self.in_tunnel or self.action.isdigit()

    @property
    def tunnel(self) -> tuple[IPv4Address, int] | None:
        """The tunnel endpoint and VNI this goes to."""
        found = TUNNEL.search(self.action) if self.in_tunnel else None
        return None if found is None else (IPv4Address(found[1]), int(found[2], 0))

    def without_dscp(self) -> "Departure":
        return self.without(TOS)

    def without(self, field: str) -> "Departure":
        return replace(self, rewritten=frozenset((key, value) for key, value in self.rewritten if key != field))


@dataclass
class _Packet:
    """The packet while its actions are read."""

    fields: dict[str, str]
    tags: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

    def copy(self) -> "_Packet":
        return _Packet(dict(self.fields), self.tags, self.passed)


def copies(line: str) -> int:
    """How many copies go to our controller."""
    return sum(_copies(part) for part in split(line))


def _copies(part: str) -> int:
    if CONTROLLER_COPY.fullmatch(part):
        return 1
    name, _, inner = part.partition("(")
    return sum(map(_copies, split(inner[:-1]))) if name in CONTAINERS and "tnl_push" not in split(inner)[0] else 0


def departures(line: str, tos: int, came: State | None = None) -> tuple[Departure, ...]:
    """Everything but our copies, for a packet that came with this TOS byte and with ``came`` (datapath names)."""
    return tuple(_followed(line, _Packet({"skb_mark": "0x0", **(came or {}), TOS: f"{tos:#x}"}), ()))


def _followed(line: str, packet: _Packet, inside: tuple[str, ...]) -> Iterator[Departure]:
    for part in _in_clones(split(line)):
        name, _, inner = part.partition("(")
        if CONTROLLER_COPY.fullmatch(part) or part == "drop":
            continue
        if name == "set" and not inner.startswith("tunnel"):
            packet.fields |= rewrites(part, packet.fields)
        elif name in STACKED:
            packet.tags += (part,)
        elif name in UNSTACKED:
            popped = bool(packet.tags) and packet.tags[-1].startswith(name.replace("pop", "push"))
            packet.tags = packet.tags[:-1] if popped else (*packet.tags, part)
        elif name in CONTAINERS and not (name == "clone" and inner.startswith("tnl_push")):
            yield from _followed(inner[:-1], packet.copy(), inside if name == "clone" else (*inside, name))
        else:
            action = EXPIRED.sub(r"\1", NUMBERED.sub("recirc", part))
            yield Departure(action, frozenset(packet.fields.items()), packet.tags, packet.passed, inside)
            if action.startswith(FINAL):
                packet.passed += (action,)


def _in_clones(parts: list[str]) -> list[str]:
    """The last thing a packet does needs no ``clone`` around it, and has none: give a last tunnel its clone back."""
    for at, part in enumerate(parts):
        if part.startswith("tnl_push("):
            return [*parts[:at], f"clone({','.join(parts[at:])})"]
    return parts


def rewrites(part: str, fields: State) -> dict[str, str]:
    """The fields one ``set(...)`` writes, often only some bits of them, to a packet with these fields."""
    inner = part[len("set(") : -1]
    header, _, body = inner.partition("(")
    body = body[:-1]
    if "=" not in body:
        return {header: _merged(header, body, fields)}
    pairs = (
        (TOS_NAMES.get(f"{header}.{key}", f"{header}.{key}"), value)
        for key, _, value in (field.partition("=") for field in split(body))
    )
    return {name: _merged(name, value, fields) for name, value in pairs}


def _merged(name: str, text: str, fields: State) -> str:
    value, slash, mask = text.partition("/")
    if not slash:
        return _written(number(value), value)
    kept = number(fields.get(name, "0"))
    bits, wanted = number(mask), number(value)
    if kept is None or bits is None or wanted is None:
        return text
    return f"{kept & ~bits | wanted & bits:#x}"


def _written(value: int | None, text: str) -> str:
    return text if value is None else f"{value:#x}"


def number(text: str) -> int | None:
    """The value of a field as the datapath or OpenFlow writes it: a number, an IP address, an Ethernet address."""
    try:
        if ETHERNET.fullmatch(text):
            return int(text.replace(":", ""), 16)
        if ":" in text:
            return int(IPv6Address(text))
        return int(IPv4Address(text)) if text.count(".") == 3 else int(text, 0)
    except ValueError:
        return None


def split(text: str) -> list[str]:
    """Top-level comma-separated parts."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in (*parts, text[start:]) if part]
