"""Turns what ``ofproto/trace`` prints on an OVN bridge into the searches and outputs of that one bridge.

OVS walks on into other bridges (patch ports, tunnels) and takes both ways at ``check_pkt_larger``; only what this
bridge does with a packet that is not larger is kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.codecs.trace_text import parse_trace
from vtrace_ovs.model.agreement import Lookup
from vtrace_ovs.model.match import Match

Search = tuple[int, int | None, int, Match | None]
"""Table, priority (None: nothing matched), cookie, match."""

_OUTPUT = re.compile(r" *output:(\d+)")
_RULE = "=" * 79
_REWRITTEN = "Modified flow: nw_src"
_FORK = "A clone of the packet is forked to recirculate"


@dataclass
class Reading:
    """``hashed`` means that OVS stopped before a select group: it would have to hash a real packet.

    ``translated`` is how many searches come before OVS first rewrites an address to simulate ``nat(…)``.
    """

    searches: list[Search] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    hashed: bool = False
    translated: int | None = None


def read(text: str, bridge: str) -> Reading:
    """What one bridge does with the packet. The bridges behind it only forward, and output to no numbered port."""
    first, *rest = text.split(_RULE + "\n")
    reading = Reading()
    wanted = [True]
    for heading, body in (("", first), *zip(rest[::2], rest[1::2], strict=True)):
        if _REWRITTEN in heading and reading.translated is None:
            reading.translated = len(reading.searches)
        kept = []
        keep = wanted.pop(0)
        for line, larger in _branches(body.splitlines()):
            if _FORK in line:
                wanted.append(keep and not larger)
            elif keep and not larger:
                kept.append(line)
                _note(reading, line)
        if keep:
            lookups = parse_trace("\n".join(kept), PortNames()).lookups
            reading.searches += (_search(each) for each in lookups if each.bridge == bridge)
    return reading


def _search(lookup: Lookup) -> Search:
    match = None if lookup.match is None or lookup.priority is None else lookup.match.taken_apart()
    return lookup.table_id, lookup.priority, lookup.cookie, match


def _note(reading: Reading, line: str) -> None:
    if found := _OUTPUT.fullmatch(line):
        reading.outputs.append(int(found[1]))
    elif line.lstrip().startswith(">>") and "output" in line:
        reading.outputs.pop()
    elif "no live bucket" in line:
        reading.hashed = True


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
