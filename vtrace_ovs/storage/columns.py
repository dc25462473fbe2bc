"""Turns model values that no database has a type for into column values: 64-bit unsigned numbers, enums, addresses."""

from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, String
from sqlalchemy.types import TypeDecorator

from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.packet import IPAddress

E = TypeVar("E", bound=Enum)

_SIGN = 1 << 63
_MODULUS = 1 << 64

# SQLite numbers rows itself only for a column declared exactly INTEGER.
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")


# A few endpoints are in many records. IPv4 by number: to hash an address costs as much as to print it.
_ipv4_text = lru_cache(maxsize=4096)(lambda number: str(IPv4Address(number)))
_ipv6_text = lru_cache(maxsize=4096)(str)
_address = lru_cache(maxsize=4096)(ip_address)


def signed64(value: int | None) -> int | None:
    """The signed number of an unsigned one. Raises StorageError when it needs more than 64 bits."""
    if value is None or 0 <= value < _SIGN:
        return value
    if 0 <= value < _MODULUS:
        return value - _MODULUS
    raise StorageError(f"{value} does not fit into 64 unsigned bits: it is no cookie, dpid, VNI or counter")


def address_text(value: IPAddress | None) -> str | None:
    """An address as text."""
    if type(value) is IPv4Address:
        return _ipv4_text(int(value))
    return None if value is None else _ipv6_text(value)


class Unsigned64(TypeDecorator[int]):
    """A cookie, dpid, VNI or counter in a signed 64-bit column: two's complement, so most read as they are."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's hook
        """The number to store. Raises StorageError when it needs more than 64 bits."""
        return signed64(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's hook
        """The number that was stored."""
        return value if value is None or value >= 0 else value + _MODULUS


class EnumText(TypeDecorator[E]):
    """An enum by its value, as text without a constraint: a new member needs no migration."""

    impl = String(32)
    cache_ok = True

    def __init__(self, kind: type[E]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's hook
        """The member's value."""
        return None if value is None else str(value.value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:  # noqa: ARG002 - SQLAlchemy's hook
        """The member. Raises StorageError for a value only a newer version can have written."""
        if value is None:
            return None
        try:
            return self.kind(value)
        except ValueError as error:
            raise StorageError(
                f"the database holds {self.kind.__name__} {value!r}, unknown here: upgrade vtrace"
            ) from error


class AddressText(TypeDecorator[IPAddress]):
    """An IPv4 or IPv6 address as text."""

    impl = String(64)
    cache_ok = True

    def process_bind_param(self, value: IPAddress | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's hook
        """The address as text."""
        return address_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> IPAddress | None:  # noqa: ARG002 - SQLAlchemy's hook
        """The address."""
        return None if value is None else _address(value)
