"""Turns parsed TOML tables into typed values, and a wrong one into a CodecError that names its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NoReturn, TypeVar

from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.packet import IPAddress

_E = TypeVar("_E", bound=Enum)


@dataclass(frozen=True, slots=True)
class Place:
    """A value of a TOML document and where it is, e.g. ``vpc.toml: tenants.blue.subnets.web.vni``."""

    value: object
    path: str
    source: str

    def fail(self, message: str) -> NoReturn:
        """Raise CodecError for this place."""
        raise CodecError(f"{self.source}: {self.path or 'document'}: {message}")

    def _child(self, key: str, value: object) -> "Place":
        return Place(value, f"{self.path}.{key}" if self.path else key, self.source)

    def table(self, allowed: frozenset[str] | None = None) -> dict[str, "Place"]:
        """The entries of a table, in order. With ``allowed``, any other key is an error."""
        if not isinstance(self.value, dict):
            self.fail("expected a table")
        for key in self.value:
            if allowed is not None and key not in allowed:
                self.fail(f"unknown key {key!r}; known: {', '.join(sorted(allowed))}")
        return {key: self._child(key, value) for key, value in self.value.items()}

    def array(self) -> Iterator["Place"]:
        """The items of an array."""
        if not isinstance(self.value, list):
            self.fail("expected an array")
        for index, value in enumerate(self.value):
            yield Place(value, f"{self.path}[{index}]", self.source)

    def require(self, key: str) -> "Place":
        """An entry that must be there."""
        entry = self.optional(key)
        if entry is None:
            self.fail(f"{key!r} is missing")
        return entry

    def optional(self, key: str) -> "Place | None":
        """An entry that may be absent."""
        return self.table().get(key)

    def text(self) -> str:
        """A string that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            self.fail(f"expected text, got {self.value!r}")
        return self.value

    def integer(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            self.fail(f"expected an integer from {low} to {high}, got {self.value!r}")
        return self.value

    def flag(self) -> bool:
        """A boolean."""
        if not isinstance(self.value, bool):
            self.fail(f"expected true or false, got {self.value!r}")
        return self.value

    def address(self) -> IPv4Address:
        """An IPv4 address."""
        try:
            return IPv4Address(self.text())
        except AddressValueError as wrong:
            self.fail(str(wrong))

    def network(self) -> IPv4Network:
        """An IPv4 prefix without host bits."""
        try:
            return IPv4Network(self.text())
        except ValueError as wrong:
            self.fail(str(wrong))

    def address6(self) -> IPv6Address:
        """An IPv6 address."""
        try:
            return IPv6Address(self.text())
        except AddressValueError as wrong:
            self.fail(str(wrong))

    def network6(self) -> IPv6Network:
        """An IPv6 prefix without host bits."""
        try:
            return IPv6Network(self.text())
        except ValueError as wrong:
            self.fail(str(wrong))

    def any_address(self) -> IPAddress:
        """An address of either family."""
        try:
            return ip_address(self.text())
        except ValueError as wrong:
            self.fail(str(wrong))

    def any_network(self) -> IPNetwork:
        """A prefix of either family without host bits."""
        try:
            return ip_network(self.text())
        except ValueError as wrong:
            self.fail(str(wrong))

    def member(self, kind: type[_E]) -> _E:
        """A value of an enum."""
        known = {str(member.value): member for member in kind}
        text = self.text()
        if text not in known:
            self.fail(f"{text!r} is none of {', '.join(known)}")
        return known[text]
