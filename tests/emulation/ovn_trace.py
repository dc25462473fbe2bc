"""Turns what ``ofproto/trace`` prints on an OVN bridge into the searches and outputs of that one bridge.

OVS walks on into other bridges (patch ports, tunnels) and takes both ways at ``check_pkt_larger``; only what this
bridge does with a packet that is not larger is kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Search = tuple[int, int | None, int]
"""Table, priority (None: nothing matched), cookie."""

_SEARCH = re.compile(r" *(\d+)\. (?:(No match\.)|(?:.*, )?priority (\d+)(?:, cookie (0x[0-9a-f]+))?)")
_OUTPUT = re.compile(r" *output:(\d+)")
_RULE = "=" * 79
_FORK = "A clone of the packet is forked to recirculate"


@dataclass
class Reading:
    """``hashed`` means that OVS stopped before a select group: it would have to hash a real packet."""

    searches: list[Search] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    hashed: bool = False


def read(text: str, bridge: str) -> Reading:
    """What one bridge does with the packet."""
    first, *rest = text.split(_RULE + "\n")
    reading = Reading()
    wanted = [True]
    for body in (first, *rest[1::2]):
        lines = list(_of_bridge(body.splitlines(), bridge))
        keep = wanted.pop(0)
        for line, larger in _branches(lines):
            if _FORK in line:
                wanted.append(keep and not larger)
            elif keep and not larger:
                _note(reading, line)
    return reading


def _note(reading: Reading, line: str) -> None:
    if found := _SEARCH.fullmatch(line):
        table_id, missed, priority, cookie = found.groups()
        reading.searches.append((int(table_id), None if missed else int(priority), int(cookie or "0", 16)))
    elif found := _OUTPUT.fullmatch(line):
        reading.outputs.append(int(found[1]))
    elif line.lstrip().startswith(">>") and "output" in line:
        reading.outputs.pop()
    elif "no live bucket" in line:
        reading.hashed = True


def _of_bridge(lines: list[str], bridge: str) -> Iterator[str]:
    """The lines about one bridge: those under another bridge's heading are further in than the heading."""
    inside: int | None = None
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if line.lstrip().startswith("bridge("):
            inside = None if f'"{bridge}"' in line else depth
        elif inside is None or (line.strip() and depth <= inside and not line.lstrip().startswith("---")):
            inside = None
            yield line


def _branches(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is about a packet larger than a ``check_pkt_larger`` before it.

    OVS prints what follows that action twice, first for a larger packet.
    """
    at = 0
    while at < len(lines):
        line = lines[at]
        yield line, False
        at += 1
        if line.lstrip().startswith("check_pkt_larger("):
            again = lines.index(lines[at], at + 1)
            yield from ((skipped, True) for skipped in lines[at:again])
            at = again
