"""Turns single values (numbers, text, bytes, addresses, enums, OpenFlow fields) into JSON values and back, strictly."""

import base64
import binascii
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import NoneType
from typing import cast

from vtrace_ovs.model import oxm

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_SHOWN = 80


class MisfitError(Exception):
    """A value does not fit its type; ``place`` grows outward as the error passes through containers."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.place = ""

    def inside(self, step: str) -> "MisfitError":
        """The same misfit, seen from one container further out."""
        self.place = step + self.place
        return self


@dataclass(frozen=True, slots=True)
class Converter:
    """Both directions for one type; ``runtime`` are the classes its values have."""

    encode: Callable[[object], Json]
    decode: Callable[[Json], object]
    runtime: tuple[type, ...]


def misfit_of(value: object, wanted: str) -> MisfitError:
    """The error for a value that is not what was wanted; long values are cut."""
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "…"
    return MisfitError(f"{shown} is not {wanted}")


def _int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    raise misfit_of(value, "an integer")


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise misfit_of(value, "true or false")


def _float(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise misfit_of(value, "a finite number")


def _str(value: object) -> str:
    if isinstance(value, str):
        return value
    raise misfit_of(value, "text")


def _none(value: object) -> None:
    if value is not None:
        raise misfit_of(value, "null")


def _encode_bytes(value: object) -> Json:
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    raise misfit_of(value, "bytes")


def _decode_bytes(document: Json) -> bytes:
    try:
        return base64.b64decode(_str(document), validate=True)
    except ValueError as error:
        raise misfit_of(document, "base64 text") from error


def _encode_field(value: object) -> Json:
    if isinstance(value, oxm.Field):
        for text in (value.name, f"{value.name}:{value.n_bytes}"):
            if _field(text) is value:
                return text
    raise misfit_of(value, "an OpenFlow field of the catalogue")


def _decode_field(document: Json) -> oxm.Field:
    field = _field(_str(document))
    if field is None:
        raise misfit_of(document, "the name of an OpenFlow field")
    return field


_UNNAMED = re.compile(r"oxm_0x([0-9a-f]{1,4})(?:_0x([0-9a-f]{1,8}))?_([0-9]{1,3})")


@cache
def _field(text: str) -> oxm.Field | None:
    """``NAME``, or ``NAME:BYTES`` for a field whose length or meaning only the bridge knows (``oxm.unnamed``)."""
    name, colon, size = text.partition(":")
    if colon and not (size.isascii() and size.isdigit()):
        return None
    try:
        known = oxm.field(name)
    except KeyError:
        numbers = _UNNAMED.fullmatch(name)
        if numbers is None or not size:
            return None
        vendor = None if numbers[2] is None else int(numbers[2], 16)
        return oxm.unnamed(int(numbers[1], 16), int(numbers[3]), int(size), vendor)
    return oxm.sized(known, int(size)) if size else known


def _text_form(kind: type) -> Converter:
    """A type with an exact text form: its constructor reads what ``str`` writes.

    A few addresses are in many documents, and what is read from one text may be one object: it never changes.
    """
    read = lru_cache(maxsize=4096)(kind)

    def encode(value: object) -> Json:
        if isinstance(value, kind):
            return str(value)
        raise misfit_of(value, f"an {kind.__name__}")

    def decode(document: Json) -> object:
        try:
            return read(_str(document))
        except ValueError as error:
            raise misfit_of(document, f"an {kind.__name__}") from error

    return Converter(encode, decode, (kind,))


SCALARS: dict[type, Converter] = {
    int: Converter(_int, _int, (int,)),
    bool: Converter(_bool, _bool, (bool,)),
    float: Converter(_float, _float, (float, int)),
    str: Converter(_str, _str, (str,)),
    NoneType: Converter(_none, _none, (NoneType,)),
    bytes: Converter(_encode_bytes, _decode_bytes, (bytes,)),
    oxm.Field: Converter(_encode_field, _decode_field, (oxm.Field,)),
    **{kind: _text_form(kind) for kind in (IPv4Address, IPv6Address, IPv4Network, IPv6Network)},
}


def enum_converter(kind: type[Enum]) -> Converter:
    """An enum by value; values are integers or text."""
    values = {member.value: member for member in kind}

    def encode(value: object) -> Json:
        if isinstance(value, kind):
            return cast("Json", value.value)
        raise misfit_of(value, f"a {kind.__name__}")

    def decode(document: Json) -> Enum:
        if isinstance(document, int | str) and not isinstance(document, bool) and document in values:
            return values[document]
        raise misfit_of(document, f"a {kind.__name__}")

    return Converter(encode, decode, (kind,))
