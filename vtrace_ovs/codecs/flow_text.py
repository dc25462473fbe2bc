"""Turns one line of ``ovs-ofctl dump-flows`` into a Flow (ovs-ofctl(8); OpenFlow 1.0 and later, names or numbers)."""

import re

from vtrace_ovs.codecs.flow_text_actions import parse_instructions
from vtrace_ovs.codecs.flow_text_match import parse_match
from vtrace_ovs.codecs.flow_text_words import PortNames, number, shown, split, table_number
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.oxm import IP_PROTO

_DEFAULT_PRIORITY = 32768
_GREATEST_PRIORITY = (1 << 31) - 1
_GREATEST_COOKIE = (1 << 64) - 1
_ACTIONS = re.compile(r"(?:^|[ ,])actions=")
_FLAGS = {"send_flow_rem": 1, "check_overlap": 2, "reset_counts": 4, "no_packet_counts": 8, "no_byte_counts": 16}
_ABOUT = frozenset(
    {
        *("cookie", "table", "table_id", "priority", "duration", "n_packets", "n_bytes", "idle_timeout"),
        *("hard_timeout", "importance", "idle_age", "hard_age", "n_offload_packets", "n_offload_bytes"),
    }
)
"""What the words before the match are called; anything else is part of the match."""


def is_flow(line: str) -> bool:
    """Whether a line of a dump is a flow."""
    return _ACTIONS.search(line) is not None


def parse_flow(line: str, names: PortNames) -> Flow:
    """The flow a line describes. Raises CodecError saying which part cannot be read.

    What ``ovs-ofctl --no-stats`` leaves out (table 0, counters) has the value that leaving it out means.
    """
    found = _ACTIONS.search(line)
    if found is None:
        raise CodecError(f"{shown(line)} has no actions: is the dump cut off?")
    about: dict[str, str] = {}
    match_words: list[str] = []
    flags = 0
    for word in split(line[: found.start()], ", \t"):
        name, _, value = word.partition("=")
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif name in _ABOUT:
            about[name] = value
        else:
            match_words.append(word)
    match = parse_match(match_words, names)
    protocol = match.get(IP_PROTO)
    return Flow(
        table_id=table_number(about.get("table", about.get("table_id", "0"))),
        priority=number(about.get("priority", str(_DEFAULT_PRIORITY)), _GREATEST_PRIORITY),
        match=match,
        instructions=parse_instructions(line[found.end() :], names, None if protocol is None else protocol.value),
        cookie=number(about.get("cookie", "0"), _GREATEST_COOKIE),
        idle_timeout=number(about.get("idle_timeout", "0")),
        hard_timeout=number(about.get("hard_timeout", "0")),
        flags=flags,
        n_packets=number(about.get("n_packets", "0")),
        n_bytes=number(about.get("n_bytes", "0")),
        duration=_seconds(about.get("duration", "0s")),
    )


def _seconds(text: str) -> float:
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        raise CodecError(f"{shown(text)} is not a duration") from None
