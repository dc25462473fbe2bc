"""Turns the cookies of OVN's OpenFlow flows into the rows they stand for, and those rows into words.

A cookie is the first 32 bits of a row's UUID in OVN's southbound database: of a Logical_Flow, or, for flows that are no
logical ones, of a port, multicast group, MAC binding or load balancer (ovn-detrace(1)). OVSDB cannot ask for part of a
UUID, so all UUIDs are asked for first, and then the few rows whose UUIDs fit. ovn-sb(5), ovn-nb(5).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vtrace_ovs.codecs.ovsdb_json import Json, string_map, string_set
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.profile import NamedFlow

SOUTHBOUND = "OVN_Southbound"
NORTHBOUND = "OVN_Northbound"
LOGICAL_FLOW = "Logical_Flow"
TABLES = (LOGICAL_FLOW, "Port_Binding", "Multicast_Group", "MAC_Binding", "Load_Balancer")
KINDS = {
    "Port_Binding": "logical port",
    "Multicast_Group": "multicast group",
    "MAC_Binding": "MAC binding",
    "Load_Balancer": "load balancer",
}
LONGEST_MATCH = 240
NAMED_DATAPATHS = 3
REJECT = "reject {"
"""The logical action of an ACL that rejects (ovn-sb(5), ``Logical_Flow`` actions)."""
_COOKIE_DIGITS = 8

Row = Mapping[str, Json]
Operation = dict[str, Json]


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row of one of ``TABLES`` that a cookie fits."""

    table: str
    uuid: str

    @property
    def cookie(self) -> int:
        """The cookie of its flows."""
        return int(self.uuid[:_COOKIE_DIGITS], 16)


def uuids_of(tables: Iterable[str]) -> list[Operation]:
    """Ask for the UUIDs of all rows."""
    return [{"op": "select", "table": table, "where": [], "columns": ["_uuid"]} for table in tables]


def rows_of(rows: Iterable[FoundRow]) -> list[Operation]:
    """Ask for whole rows: columns differ between releases of OVN."""
    return [{"op": "select", "table": row.table, "where": [["_uuid", "==", ["uuid", row.uuid]]]} for row in rows]


def fitting(tables: Sequence[str], results: Sequence[Json], cookies: Iterable[int]) -> tuple[FoundRow, ...]:
    """The rows these cookies stand for, of the answer to ``uuids_of``. Raises CodecError for another answer."""
    wanted = {f"{cookie:08x}" for cookie in cookies}
    return tuple(
        FoundRow(table, uuid)
        for table, result in zip(tables, results, strict=True)
        for row in selected(result)
        for uuid in string_set(row.get("_uuid", ""))
        if uuid[:_COOKIE_DIGITS] in wanted
    )


def selected(result: Json) -> tuple[Row, ...]:
    """The rows of one select. Raises CodecError when it is none (RFC 7047 §5.2.2)."""
    rows = result.get("rows") if isinstance(result, Mapping) else None
    if isinstance(rows, str) or not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise CodecError(f"the answer is not one of an OVN database: {result!r}"[:200])
    return tuple(row for row in rows if isinstance(row, Mapping))


def datapaths_of(flow: Row) -> tuple[FoundRow, ...]:
    """The rows that say where a logical flow is: its datapath, or the group of them it is shared by (OVN ≥ 20.12)."""
    named = (("Datapath_Binding", "logical_datapath"), ("Logical_DP_Group", "logical_dp_group"))
    return tuple(FoundRow(table, uuid) for table, column in named for uuid in string_set(flow.get(column, ["set", []])))


def members_of(group: Row) -> tuple[FoundRow, ...]:
    """The datapaths of a Logical_DP_Group."""
    return tuple(FoundRow("Datapath_Binding", uuid) for uuid in string_set(group.get("datapaths", ["set", []])))


def hint_of(flow: Row) -> int | None:
    """The first 32 bits of the UUID of the northbound ACL a logical flow of an ACL stage was made from."""
    ids = string_map(flow.get("external_ids", ["map", []]))
    hint = ids.get("stage-hint", "")
    try:
        return int(hint, 16) if hint and "acl" in ids.get("stage-name", "") else None
    except ValueError:
        return None


def name_of_row(found: FoundRow, row: Row) -> NamedFlow:
    """A flow that is no logical one: whose it is."""
    names = (row.get(column) for column in ("logical_port", "name", "ip"))
    name = next((name for name in names if isinstance(name, str) and name), found.uuid)
    return NamedFlow(found.cookie, None, f"OVN, {KINDS.get(found.table, found.table)} {name}")


def name_of_flow(found: FoundRow, flow: Row, datapaths: Sequence[Row], acl: tuple[FoundRow, Row] | None) -> NamedFlow:
    """A logical flow: stage, match, priority, where it is; and the ACL it was made from, as far as it is known."""
    ids = string_map(flow.get("external_ids", ["map", []]))
    stage = ids.get("stage-name") or None
    of = f"stage {stage}" if stage else f"{flow.get('pipeline')} table {flow.get('table_id')}"
    logical = f"logical flow {found.uuid[:_COOKIE_DIGITS]} of {_places(datapaths)}, {of}"
    rejects = REJECT in str(flow.get("actions"))
    if acl is not None:
        return NamedFlow(found.cookie, stage, f"{_acl(*acl)}; {logical}", rejects)
    hint = hint_of(flow)
    whole = f"{logical}, priority {flow.get('priority')}, match {_shortened(flow.get('match'))}"
    if hint is not None:
        return NamedFlow(found.cookie, stage, f"ACL {hint:08x}-…; {whole}", rejects)
    default = "the default of OVN; " if "acl" in (stage or "") else ""
    return NamedFlow(found.cookie, stage, f"{default}{whole}", rejects)


def name_of_many(cookie: int, count: int) -> NamedFlow:
    """Thirty-two bits fit several rows: which of them it is, nobody can tell."""
    return NamedFlow(cookie, None, f"OVN, one of {count} rows with a UUID {cookie:08x}-…")


def _acl(found: FoundRow, row: Row) -> str:
    names = [name for name in string_set(row.get("name", ["set", []])) if name]
    title = f" {names[0]!r}" if names else ""
    return (
        f"ACL {found.uuid[:_COOKIE_DIGITS]}{title}: {row.get('action')} {row.get('direction')}, "
        f"priority {row.get('priority')}, match {_shortened(row.get('match'))}"
    )


def _places(datapaths: Sequence[Row]) -> str:
    names = []
    for row in datapaths[:NAMED_DATAPATHS]:
        ids = string_map(row.get("external_ids", ["map", []]))
        kind = "logical router" if "logical-router" in ids else "logical switch"
        names.append(f"{kind} {ids.get('name', '(nameless)')}")
    more = len(datapaths) - len(names)
    return " and ".join([*names, *([f"{more} more"] if more > 0 else [])]) or "no datapath"


def _shortened(match: Json) -> str:
    text = str(match)
    return f'"{text}"' if len(text) <= LONGEST_MATCH else f'"{text[:LONGEST_MATCH]}…"'
