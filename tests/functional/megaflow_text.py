"""Turns a line of ``dpctl/dump-flows`` into one that is equal for equal megaflows, whatever packet made them."""

import re
from ipaddress import ip_network

_MASKED_ADDRESS = re.compile(r"[\d.]+/\d+(?:\.\d+){3}")
_MASKED_NUMBER = re.compile(r"=(0x[0-9a-f]+|\d+)/(0x[0-9a-f]+)")
_PASSING = re.compile(r"ufid:[^,]*, |packets:\d+, bytes:\d+, used:[^,]*, |, dp-extra-info:\S+|recirc\(0x[0-9a-f]+\)")


def canonical(line: str) -> str:
    """A megaflow without counters, and without the bits of its first packet that it does not look at."""
    text = _MASKED_ADDRESS.sub(lambda found: str(ip_network(found[0], strict=False)), _PASSING.sub("", line))
    return _MASKED_NUMBER.sub(lambda found: f"={int(found[1], 0) & int(found[2], 0):#x}/{found[2]}", text)
