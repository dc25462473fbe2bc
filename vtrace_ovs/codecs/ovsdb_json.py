"""Turns the JSON of one OVSDB read transaction into rows of the Open_vSwitch database, as frozen dataclasses.

Wire forms: RFC 7047 §5.1 (``["set", …]``, ``["map", …]``, ``["uuid", …]``) and §5.2.2 (select). Columns:
ovs-vswitchd.conf.db(5). Every column here exists since Open vSwitch 2.3, so one query serves all releases we support.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vtrace_ovs.errors import CodecError

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

DATABASE = "Open_vSwitch"
SELECTED_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Open_vSwitch": ("_uuid", "external_ids", "other_config", "ovs_version", "bridges"),
    "Bridge": (
        *("_uuid", "name", "datapath_id", "datapath_type", "ports", "controller"),
        *("protocols", "fail_mode", "external_ids"),
    ),
    "Port": ("_uuid", "name", "interfaces"),
    "Interface": (
        *("_uuid", "name", "type", "options", "external_ids", "ofport", "error", "mtu"),
        "ingress_policing_rate",
    ),
    "Controller": ("_uuid", "target", "external_ids", "is_connected", "role", "status"),
}


@dataclass(frozen=True, slots=True)
class InterfaceRow:
    """An Interface row. ``ofport`` is empty before vswitchd has assigned it, and -1 when it could not be added.

    ``mtu`` is in bytes, and empty for tunnel and patch ports. ``ingress_policing_rate`` is in kbit/s; 0 is no limit.
    """

    uuid: str
    name: str
    type: str
    options: Mapping[str, str]
    external_ids: Mapping[str, str]
    ofport: int | None
    error: str | None
    mtu: int | None = None
    ingress_policing_rate: int = 0


@dataclass(frozen=True, slots=True)
class ControllerRow:
    """A Controller row: who is dialled, and whose row it is (``owner`` in ``external_ids``, if anybody said).

    The rest is what ovs-vswitchd says of the connection.
    """

    uuid: str
    target: str
    external_ids: Mapping[str, str]
    connected: bool = False
    role: str | None = None
    status: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BridgeRow:
    """A Bridge row with the interfaces of all its ports (a bond has several) and its Controller rows."""

    uuid: str
    name: str
    datapath_id: str | None
    datapath_type: str
    interfaces: tuple[InterfaceRow, ...]
    controllers: tuple[ControllerRow, ...]
    protocols: tuple[str, ...]
    fail_mode: str | None
    external_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServerRows:
    """One OVSDB's whole content as far as we need it, read in one transaction through ``ovsdb`` at ``read_at``."""

    ovsdb: str
    uuid: str
    ovs_version: str | None
    external_ids: Mapping[str, str]
    bridges: tuple[BridgeRow, ...]
    other_config: Mapping[str, str] = field(default_factory=dict)
    read_at: float | None = None


def select_operations() -> list[dict[str, Json]]:
    """The operations of the read transaction, one select per table, in the order ``decode_rows`` expects."""
    return [
        {"op": "select", "table": table, "where": [], "columns": list(columns)}
        for table, columns in SELECTED_COLUMNS.items()
    ]


def decode_rows(ovsdb: str, results: Sequence[Json]) -> ServerRows:
    """The rows of one server. Raises CodecError when the answer does not have the shape of the query."""
    try:
        tables = dict(zip(SELECTED_COLUMNS, map(_table, results), strict=True))
        return _server(ovsdb, tables)
    except (KeyError, IndexError, TypeError, ValueError, StopIteration) as error:
        raise CodecError(
            f"{ovsdb}: the answer is not the content of an Open_vSwitch database ({error!r}); "
            "check that the connection leads to the ovsdb-server of ovs-vswitchd"
        ) from error


def string_set(value: Json) -> tuple[str, ...]:
    """A set of strings or UUIDs; OVSDB writes a set of one as its only element."""
    return tuple(_string(element) for element in _elements(value))


def string_map(value: Json) -> dict[str, str]:
    """A map of strings to strings."""
    if not isinstance(value, Sequence) or isinstance(value, str) or value[0] != "map":
        raise TypeError(f"not a map: {value!r}")
    return {_string(key): _string(element) for key, element in _pairs(value[1])}


def _elements(value: Json) -> Sequence[Json]:
    if isinstance(value, Sequence) and not isinstance(value, str) and value[0] == "set":
        if isinstance(value[1], str) or not isinstance(value[1], Sequence):
            raise TypeError(f"not a set: {value!r}")
        return value[1]
    return (value,)


def _pairs(value: Json) -> Iterable[tuple[Json, Json]]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"not pairs: {value!r}")
    for pair in value:
        if isinstance(pair, str) or not isinstance(pair, Sequence):
            raise TypeError(f"not a pair: {pair!r}")
        key, element = pair
        yield key, element


def _string(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value[0] in {"uuid", "named-uuid"} and isinstance(value[1], str):
        return value[1]
    raise TypeError(f"not a string: {value!r}")


def _optional(value: Json) -> str | None:
    return next(iter(string_set(value)), None)


def _optional_integer(value: Json) -> int | None:
    element = next(iter(_elements(value)), None)
    if element is not None and not isinstance(element, int):
        raise TypeError(f"not an integer: {element!r}")
    return element


Row = Mapping[str, Json]
RowT = TypeVar("RowT")


def _table(result: Json) -> tuple[Row, ...]:
    if not isinstance(result, Mapping) or isinstance(result["rows"], str) or not isinstance(result["rows"], Sequence):
        raise TypeError(f"not a select result: {result!r}")
    return tuple(row for row in result["rows"] if isinstance(row, Mapping))


def _by_uuid(rows: Iterable[Row], build: Callable[[Row], RowT]) -> dict[str, RowT]:
    return {_string(row["_uuid"]): build(row) for row in rows}


def _server(ovsdb: str, tables: Mapping[str, tuple[Row, ...]]) -> ServerRows:
    root = next(iter(tables["Open_vSwitch"]))
    interfaces = _by_uuid(tables["Interface"], _interface)
    ports = _by_uuid(tables["Port"], lambda row: string_set(row["interfaces"]))
    controllers = _by_uuid(tables["Controller"], _controller)

    def bridge(row: Row) -> BridgeRow:
        members = (interfaces[interface] for port in string_set(row["ports"]) for interface in ports[port])
        return BridgeRow(
            uuid=_string(row["_uuid"]),
            name=_string(row["name"]),
            datapath_id=_optional(row["datapath_id"]),
            datapath_type=_string(row["datapath_type"]),
            interfaces=tuple(sorted(members, key=lambda interface: interface.name)),
            controllers=tuple(controllers[controller] for controller in string_set(row["controller"])),
            protocols=tuple(sorted(string_set(row["protocols"]))),
            fail_mode=_optional(row["fail_mode"]),
            external_ids=string_map(row["external_ids"]),
        )

    bridges = _by_uuid(tables["Bridge"], bridge)
    listed = (bridges[uuid] for uuid in string_set(root["bridges"]))
    return ServerRows(
        ovsdb=ovsdb,
        uuid=_string(root["_uuid"]),
        ovs_version=_optional(root["ovs_version"]),
        external_ids=string_map(root["external_ids"]),
        bridges=tuple(sorted(listed, key=lambda row: row.name)),
        other_config=string_map(root["other_config"]),
    )


def _interface(row: Row) -> InterfaceRow:
    return InterfaceRow(
        uuid=_string(row["_uuid"]),
        name=_string(row["name"]),
        type=_string(row["type"]),
        options=string_map(row["options"]),
        external_ids=string_map(row["external_ids"]),
        ofport=_optional_integer(row["ofport"]),
        error=_optional(row["error"]),
        mtu=_optional_integer(row["mtu"]),
        ingress_policing_rate=_optional_integer(row["ingress_policing_rate"]) or 0,
    )


def _controller(row: Row) -> ControllerRow:
    return ControllerRow(
        uuid=_string(row["_uuid"]),
        target=_string(row["target"]),
        external_ids=string_map(row["external_ids"]),
        connected=row["is_connected"] is True,
        role=_optional(row["role"]),
        status=string_map(row["status"]),
    )
