"""Turns one value of a filter text into an address prefix or a number, or says exactly what is wrong with it."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network

_ALL_ONES = 0xFFFFFFFF
_ADDRESS_BITS = 32
_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+", re.IGNORECASE | re.ASCII)
_PREFIX = re.compile(r"[0-9]{1,2}", re.ASCII)
_LONGEST_NUMBER = 20

ANY = frozenset({"any", "*"})
"""Values that leave a field open."""


def number(name: str, text: str, lowest: int, highest: int) -> int:
    """A decimal or ``0x`` hexadecimal number within a range.

    Raises ValueError whose text says what is wrong; the parser adds the place.
    """
    if "/" in text:
        raise ValueError(f"{name} cannot be masked: give one number, or leave it out for any")
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} needs a number from {lowest} to {highest}")
    value = int(text, 16 if text[:2].lower() == "0x" else 10) if len(text) <= _LONGEST_NUMBER else highest + 1
    if not lowest <= value <= highest:
        raise ValueError(f"{name} is out of range: it goes from {lowest} to {highest}")
    return value


def prefix(name: str, text: str) -> IPv4Network | None:
    """An IPv4 address, or a prefix in CIDR or netmask form; None for ``0.0.0.0/0``, which leaves the field open.

    OVS masks host bits away silently; a filter that says one host and means a network is refused instead.
    Raises ValueError whose text says what is wrong; the parser adds the place.
    """
    if ":" in text:
        raise ValueError("IPv6 cannot be traced yet: give IPv4 addresses")
    address_text, slash, mask_text = text.partition("/")
    address = _address(name, address_text)
    length = _prefix_length(name, mask_text) if slash else _ADDRESS_BITS
    network = IPv4Network((int(address) & _mask_of(length), length))
    if network.network_address != address:
        raise ValueError(f"{name} has host bits outside its prefix: write {network} for the network, or {address}")
    return network if length else None


def _address(name: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise ValueError(f"{name} needs an IPv4 address such as 10.0.0.1 or a prefix such as 10.0.0.0/24") from None


def _prefix_length(name: str, text: str) -> int:
    if _PREFIX.fullmatch(text):
        if int(text) > _ADDRESS_BITS:
            raise ValueError(f"{name} has a prefix longer than {_ADDRESS_BITS} bits")
        return int(text)
    mask = int(_address(name, text))
    length = mask.bit_count()
    if mask != _mask_of(length):
        raise ValueError(f"{name} has a netmask with gaps: a filter takes prefixes only")
    return length


def _mask_of(length: int) -> int:
    return _ALL_ONES ^ (_ALL_ONES >> length)
