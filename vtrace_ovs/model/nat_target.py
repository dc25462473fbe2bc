"""Turns the range text of a ``nat`` action into the one address it leaves, if it leaves only one (ovs-actions(7))."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from vtrace_ovs.model.packet import IPAddress

_SINGLE = re.compile(
    r"(?:\[(?P<bracketed>[\da-f:.]+)\]|(?P<v4>\d+\.\d+\.\d+\.\d+)|(?P<v6>[\da-f]*:[\da-f:.]+?))"
    r"(?(v6)|(?::(?P<port>\d+))?)(?:,(?:persistent|hash|random))*"
)


@dataclass(frozen=True, slots=True)
class NatTarget:
    """What a new connection is translated to. ``port`` None: the action names none."""

    address: IPAddress
    port: int | None


def nat_target(range_text: str) -> NatTarget | None:
    """The address and port in a range text without any choice; None for a real range and for text that is none."""
    found = _SINGLE.fullmatch(range_text)
    if found is None:
        return None
    try:
        address = ip_address(found["bracketed"] or found["v4"] or found["v6"])
    except ValueError:
        return None
    return NatTarget(address, int(found["port"]) if found["port"] else None)
