"""Turns the datapath actions ``ofproto/trace`` prints into what leaves a bridge: which packet, in which order.

Read conservatively: an action this reader does not know is kept as it is, so that any difference in it shows.
"""

import re
from dataclasses import dataclass

TOS = "tos"
"""The TOS byte of IPv4 and the traffic class of IPv6."""
CONTROLLER_COPY = re.compile(r"sample\(sample=100\.0%,actions\(meter\(\d+\),userspace\(.*controller_id=30292,.*\)\)\)")


@dataclass(frozen=True)
class Departure:
    """One thing that happens to the packet, and the header fields rewritten before it."""

    action: str
    rewritten: frozenset[tuple[str, str]]

    @property
    def tos(self) -> int:
        return int(dict(self.rewritten)[TOS], 0)

    @property
    def dscp(self) -> int:
        return self.tos >> 2

    @property
    def in_tunnel(self) -> bool:
        return "tnl_push" in self.action

    def without_dscp(self) -> "Departure":
        return Departure(self.action, frozenset((key, value) for key, value in self.rewritten if key != TOS))


def copies(line: str) -> int:
    """How many copies go to our controller."""
    return sum(bool(CONTROLLER_COPY.fullmatch(part)) for part in split(line))


def departures(line: str, tos: int) -> tuple[Departure, ...]:
    """Everything but our copies, for a packet that came with this TOS byte."""
    state = {TOS: f"{tos:#x}", "skb_mark": "0"}
    found = []
    for part in split(line):
        if CONTROLLER_COPY.fullmatch(part) or part == "drop":
            continue
        if part.startswith("set(") and not part.startswith("set(tunnel"):
            state |= rewrites(part, int(state[TOS], 0))
            continue
        action = re.sub(r"recirc(\(0x[0-9a-f]+\)|_id=\d+)", "recirc", part)
        found.append(Departure(action, frozenset(state.items())))
    return tuple(found)


def rewrites(part: str, tos: int) -> dict[str, str]:
    """The fields one ``set(...)`` writes, to a packet whose TOS byte is ``tos`` (often only DSCP bits are written)."""
    inner = part[len("set(") : -1]
    header, _, body = inner.partition("(")
    if header == "skb_mark":
        return {header: body.rstrip(")")}
    found = {f"{header}.{key}": value for key, _, value in (field.partition("=") for field in split(body[:-1]))}
    for name in ("ipv4.tos", "ipv6.tclass"):
        if name in found:
            value, _, mask = found.pop(name).partition("/")
            kept = tos & ~int(mask or "0xff", 0)
            found[TOS] = f"{kept | int(value, 0):#x}"
    return found


def split(text: str) -> list[str]:
    """Top-level comma-separated parts."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in (*parts, text[start:]) if part]
