"""Turns type annotations of the model into Hypothesis strategies that fill every field, defaults included."""

import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import strategies as st

from vtrace_ovs.model import oxm

Values = Callable[[object], st.SearchStrategy[typing.Any]]

UNSIGNED_32 = st.integers(0, 2**32 - 1)
UNSIGNED_64 = st.integers(0, 2**64 - 1)
WIDE_FIELDS = {"cookie", "cookie_mask", "dpid", "vni", "tun_id", "value", "mask", "packets", "dropped", "n_packets"}

SCALARS: dict[object, st.SearchStrategy[typing.Any]] = {
    int: UNSIGNED_32,
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=12),
    bytes: st.binary(max_size=40),
    bool: st.booleans(),
    types.NoneType: st.none(),
    IPv4Address: st.builds(IPv4Address, UNSIGNED_32),
    IPv6Address: st.builds(IPv6Address, st.integers(0, 2**128 - 1)),
    IPv4Network: st.builds(
        lambda number, length: IPv4Network((number, length), strict=False), UNSIGNED_32, st.integers(0, 32)
    ),
    IPv6Network: st.builds(
        lambda number, length: IPv6Network((number, length), strict=False),
        st.integers(0, 2**128 - 1),
        st.integers(0, 128),
    ),
    oxm.Field: st.sampled_from([oxm.IN_PORT, oxm.ETH_TYPE, oxm.IPV4_DST, oxm.TUN_ID, oxm.unnamed(0x1234, 5, 4, 0x99)]),
}


@cache
def _values_of(hint: object) -> st.SearchStrategy[typing.Any]:
    if hint in SCALARS:
        return SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(_values_of(member) for member in arguments))
    if origin is tuple and arguments[1:] != (...,):
        return st.tuples(*(_values_of(member) for member in arguments))
    if origin in (tuple, frozenset):
        return st.lists(_values_of(arguments[0]), max_size=2).map(origin)
    assert isinstance(hint, type)
    return st.sampled_from(hint) if issubclass(hint, Enum) else st.deferred(lambda: _instances_of(hint))


def _instances_of(kind: type) -> st.SearchStrategy[typing.Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: _field_values(name, hint) for name, hint in hints.items()})


def _field_values(name: str, hint: object) -> st.SearchStrategy[typing.Any]:
    if name in WIDE_FIELDS and int in (hint, *typing.get_args(hint)):
        return UNSIGNED_64 if hint is int else UNSIGNED_64 | st.none()
    return _values_of(hint)


@pytest.fixture(scope="session")
def values_of() -> Values:
    """A strategy for any annotation the model uses: every field of every dataclass gets a value of its own."""
    return _values_of
