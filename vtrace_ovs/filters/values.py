"""Turns one value of a filter text into an address prefix or a number, or says exactly what is wrong with it."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.packet import IPAddress, IpFamily

_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+", re.IGNORECASE | re.ASCII)
_PREFIX = re.compile(r"[0-9]{1,3}", re.ASCII)
_LONGEST_NUMBER = 20
_BITS = {IpFamily.IPV4: 32, IpFamily.IPV6: 128}
_EXAMPLES = {
    IpFamily.IPV4: "an IPv4 address such as 10.0.0.1 or a prefix such as 10.0.0.0/24",
    IpFamily.IPV6: "an IPv6 address such as fd00::1 or a prefix such as fd00::/64",
}

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


def prefix(name: str, text: str, family: IpFamily = IpFamily.IPV4) -> IPNetwork | None:
    """An address, or a prefix in CIDR or netmask form; None for length 0, which leaves the field open.

    OVS masks host bits away silently; a filter that says one host and means a network is refused instead.
    Raises ValueError whose text says what is wrong; the parser adds the place.
    """
    address_text, slash, mask_text = text.partition("/")
    address = _address(name, address_text, family)
    bits = _BITS[family]
    length = _prefix_length(name, mask_text, family) if slash else bits
    network = _network(int(address) & _mask_of(length, bits), length, family)
    if network.network_address != address:
        raise ValueError(f"{name} has host bits outside its prefix: write {network} for the network, or {address}")
    return network if length else None


def _network(value: int, length: int, family: IpFamily) -> IPNetwork:
    return IPv4Network((value, length)) if family is IpFamily.IPV4 else IPv6Network((value, length))


def _address(name: str, text: str, family: IpFamily) -> IPAddress:
    try:
        if family is IpFamily.IPV4:
            return IPv4Address(text)
        address = IPv6Address(text)
    except AddressValueError:
        raise ValueError(f"{name} needs {_EXAMPLES[family]}{_other_field(text, family)}") from None
    if address.scope_id is not None:
        raise ValueError(f"{name} has a zone: packets do not carry it, write {text.partition('%')[0]}")
    return address


def _other_field(text: str, family: IpFamily) -> str:
    """Where an address of the other family goes."""
    if family is IpFamily.IPV4:
        return "; IPv6 addresses go into ipv6_src and ipv6_dst" if ":" in text else ""
    return "; IPv4 addresses go into nw_src and nw_dst" if "." in text and ":" not in text else ""


def _prefix_length(name: str, text: str, family: IpFamily) -> int:
    bits = _BITS[family]
    if _PREFIX.fullmatch(text):
        if int(text) > bits:
            raise ValueError(f"{name} has a prefix longer than {bits} bits")
        return int(text)
    mask = int(_address(name, text, family))
    length = mask.bit_count()
    if mask != _mask_of(length, bits):
        raise ValueError(f"{name} has a netmask with gaps: a filter takes prefixes only")
    return length


def _mask_of(length: int, bits: int) -> int:
    return ((1 << length) - 1) << (bits - length)
