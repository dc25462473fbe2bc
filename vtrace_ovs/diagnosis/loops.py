"""Turns the way of a packet that comes to a device again and again into the devices between, as a clause."""

from collections.abc import Iterator

from vtrace_ovs.model.trajectory import Hop, Trajectory


def round_phrase(way: Trajectory) -> str:
    """``, by way of gw1/br-int, gw2/br-int``, of the last round; empty where no device comes again, or no other."""
    last, *before = tuple(_backwards(way))
    between: list[str] = []
    for hop in before:
        if (hop.bridge, hop.in_port) == (last.bridge, last.in_port):
            others = [name for name in dict.fromkeys(reversed(between)) if name != str(last.bridge)]
            return f", by way of {', '.join(others)}" if others else ""
        between.append(str(hop.bridge))
    return ""


def _backwards(way: Trajectory) -> Iterator[Hop]:
    hop = way.last
    while hop is not None:
        yield hop
        hop = None if hop.parent is None else way.hops[hop.parent]
