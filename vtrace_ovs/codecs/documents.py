"""Turns the nouns of ``model`` into JSON documents and back, strictly: what does not fit its declared type is refused.

The rules, driven by the type annotations alone:

    dataclass, named tuple    object of its fields; a field equal to its default is left out
    …as one of a union        the object also says ``"@type": ClassName``
    enum                      its value
    OpenFlow ``Field``        its name
    address or network        its text
    bytes                     base64 text
    tuple, frozenset          array (a frozenset sorted)

Documents are what the database keeps, so they stay readable across versions as long as a new field has a default. They
are no public format: ``rendering`` has its own, with its own schema version.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, is_dataclass
from enum import Enum
from functools import partial
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vtrace_ovs.codecs.document_scalars import SCALARS, Converter, Json, MisfitError, enum_converter, misfit_of
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model import oxm

T = TypeVar("T")

_TAG = "@type"
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


def to_document(value: object) -> Json:
    """The JSON document of a model dataclass. Raises CodecError when a part is not of its declared type."""
    return cast("Json", _convert(type(value), _converter(type(value)).encode, value))


def from_document(kind: type[T], document: Json) -> T:
    """The dataclass of this kind a document describes. Raises CodecError, naming the place, when it does not fit."""
    return cast("T", _convert(kind, _converter(kind).decode, document))


def to_json(value: object) -> str:
    """The document as canonical ASCII text: values equal in every field give the same text."""
    return json_text(to_document(value))


def from_json(kind: type[T], text: str | bytes) -> T:
    """The dataclass of this kind a JSON text describes. Raises CodecError as ``from_document`` does."""
    return from_document(kind, json_document(text))


def json_text(document: Json) -> str:
    """A document as compact ASCII text, in the order of its fields."""
    return _ENCODER.encode(document)


def json_document(text: str | bytes) -> Json:
    """A JSON text as a document. Raises CodecError when it is not JSON."""
    try:
        return cast("Json", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not a JSON document ({error}): it was cut short, or written by something else") from error


def _convert(kind: type, conversion: Callable[..., object], value: object) -> object:
    try:
        return conversion(value)
    except MisfitError as misfit:
        place = misfit.place.lstrip(".") or "its top"
        raise CodecError(f"{kind.__name__} document is wrong at {place}: {misfit}") from misfit


_CONVERTERS: dict[object, Converter] = {}


def _converter(hint: object) -> Converter:
    """The converter of a type annotation. A type without one is a mistake in the model: TypeError."""
    if hint not in _CONVERTERS:
        _CONVERTERS[hint] = _built(hint)
    return _CONVERTERS[hint]


def _built(hint: object) -> Converter:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return _union(arguments)
    if origin is tuple:
        return _sequence(arguments[0]) if arguments[1:] == (...,) else _fixed_tuple(arguments)
    if origin is frozenset:
        return _set(arguments[0])
    if isinstance(hint, type):
        if hint in SCALARS:
            return SCALARS[hint]
        if issubclass(hint, Enum):
            return enum_converter(hint)
        if _has_fields(hint):
            return _dataclass(hint)
    raise TypeError(f"no document form for {hint!r}")


# --- containers ------------------------------------------------------------------------------------------------------


def _each(conversion: Callable[..., T], items: Iterable[object]) -> list[T]:
    converted: list[T] = []
    try:
        for item in items:
            converted.append(conversion(item))  # noqa: PERF401 - its length is the index of the misfit
    except MisfitError as misfit:
        raise misfit.inside(f"[{len(converted)}]") from misfit
    return converted


def _list(document: Json) -> list[Json]:
    if isinstance(document, list):
        return document
    raise misfit_of(document, "an array")


def _tuple(value: object) -> tuple[object, ...]:
    if isinstance(value, tuple):
        return value
    raise misfit_of(value, "a tuple")


def _sequence(hint: object) -> Converter:
    item = _converter(hint)
    return Converter(
        lambda value: cast("Json", _each(item.encode, _tuple(value))),
        lambda document: tuple(_each(item.decode, _list(document))),
        (tuple,),
    )


def _fixed_tuple(hints: tuple[object, ...]) -> Converter:
    items = tuple(_converter(hint) for hint in hints)

    def encode(value: object) -> Json:
        parts = _tuple(value)
        if len(parts) != len(items):
            raise misfit_of(value, f"a tuple of {len(items)}")
        return [item.encode(part) for item, part in zip(items, parts, strict=True)]

    def decode(document: Json) -> object:
        parts = _list(document)
        if len(parts) != len(items):
            raise misfit_of(document, f"an array of {len(items)}")
        return tuple(item.decode(part) for item, part in zip(items, parts, strict=True))

    return Converter(encode, decode, (tuple,))


def _set(hint: object) -> Converter:
    item = _converter(hint)

    def encode(value: object) -> Json:
        if not isinstance(value, frozenset):
            raise misfit_of(value, "a frozenset")
        return sorted(_each(item.encode, value), key=json_text)

    return Converter(encode, lambda document: frozenset(_each(item.decode, _list(document))), (frozenset,))


def _union(hints: tuple[object, ...]) -> Converter:
    """Members are told apart by class when written; when read, dataclasses by tag (if several) and the rest by form."""
    members = [_converter(hint) for hint in hints]
    tagged = {
        hint.__name__: member
        for hint, member in zip(hints, members, strict=True)
        if isinstance(hint, type) and _has_fields(hint) and hint is not oxm.Field
    }
    by_class = {kind: member for member in members for kind in member.runtime}
    needs_tag = len([hint for hint in hints if hint is not NoneType]) > 1
    plain = [member for member in members if member not in tagged.values()]

    def encode(value: object) -> Json:
        kind = type(value)
        member = by_class.get(kind) or next((by_class[base] for base in kind.__mro__ if base in by_class), None)
        if member is None:
            raise misfit_of(value, "a member of the union")
        document = member.encode(value)
        if needs_tag and kind.__name__ in tagged and isinstance(document, dict):
            return {_TAG: kind.__name__, **document}
        return document

    def decode(document: Json) -> object:
        if document is None and NoneType in by_class:
            return None
        if isinstance(document, dict):
            return _decode_tagged(document, tagged, needs_tag=needs_tag)
        for member in plain:
            try:
                return member.decode(document)
            except MisfitError:
                continue
        raise misfit_of(document, "a member of the union")

    return Converter(encode, decode, tuple(by_class))


def _decode_tagged(document: dict[str, Json], tagged: dict[str, Converter], *, needs_tag: bool) -> object:
    if not needs_tag and len(tagged) == 1:
        return next(iter(tagged.values())).decode(document)
    name = document.get(_TAG)
    if not isinstance(name, str) or name not in tagged:
        raise misfit_of(name, f"one of {', '.join(tagged) or 'no classes'}").inside(f".{_TAG}")
    return tagged[name].decode({key: value for key, value in document.items() if key != _TAG})


# --- dataclasses and named tuples -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    default: object
    converter: Converter


_MEMBERS: dict[type, tuple[_Member, ...]] = {}


def _members(kind: type) -> tuple[_Member, ...]:
    """What makes an object of a class; looked up on first use, because action types contain each other."""
    if kind not in _MEMBERS:
        hints = get_type_hints(kind)
        _MEMBERS[kind] = tuple(
            _Member(each.name, each.default, _converter(hints[each.name]))
            for each in signature(kind).parameters.values()
        )
    return _MEMBERS[kind]


def _has_fields(hint: object) -> bool:
    """Whether it is a dataclass or a named tuple."""
    return is_dataclass(hint) or hasattr(hint, "_fields")


def _dataclass(kind: type) -> Converter:
    return Converter(partial(_encode_dataclass, kind), partial(_decode_dataclass, kind), (kind,))


def _encode_dataclass(kind: type, value: object) -> Json:
    if type(value) is not kind:
        raise misfit_of(value, f"a {kind.__name__}")
    document: dict[str, Json] = {}
    for member in _members(kind):
        part = getattr(value, member.name)
        if part is member.default or part == member.default:
            continue
        try:
            document[member.name] = member.converter.encode(part)
        except MisfitError as misfit:
            raise misfit.inside(f".{member.name}") from misfit
    return document


def _decode_dataclass(kind: type, document: Json) -> object:
    if not isinstance(document, dict):
        raise misfit_of(document, f"a {kind.__name__} object")
    arguments: dict[str, object] = {}
    for member in _members(kind):
        if member.name in document:
            try:
                arguments[member.name] = member.converter.decode(document[member.name])
            except MisfitError as misfit:
                raise misfit.inside(f".{member.name}") from misfit
        elif member.default is Parameter.empty:
            raise MisfitError(f"{kind.__name__} needs {member.name}, which is absent")
    if len(arguments) != len(document):
        unknown = ", ".join(sorted(document.keys() - arguments.keys()))
        raise MisfitError(f"{kind.__name__} has no {unknown}; a newer version may have written it")
    return kind(**arguments)
