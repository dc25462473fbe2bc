"""Turns "this remote bridge shall dial us" into a ``type=service``, out-of-band Controller row, and removes it again.

The only writer of OVSDB in this package. It never adds a primary controller and never touches ``fail_mode``: either
would make ovs-vswitchd flush flows, groups and meters (design D1, traps T1 and T2). Columns: ovs-vswitchd.conf.db(5),
Controller table.
"""

from collections.abc import Collection, Mapping, Sequence

from vtrace_ovs.codecs.ovsdb_json import BridgeRow, ControllerRow, Json, decode_rows, select_operations
from vtrace_ovs.codecs.ovsdb_rows import OUR_OWNER, protocol_obstacle
from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.ovsdb.client import OvsdbClient

# The first dial is immediate; a bridge that lost us tries again after this at the latest (ms; OVS wants ≥ 1000).
MAX_BACKOFF = 1000


def add_service_controllers(
    client: OvsdbClient, bridges: Sequence[str], target: str, *, owner: str = OUR_OWNER
) -> None:
    """Make ``bridges`` of one OVSDB dial ``target`` (``tcp:IP:PORT`` or ``ssl:IP:PORT``), all in one transaction.

    A row that is there already is left alone. Raises OvsdbError, having changed nothing, when a bridge is missing or
    excludes OpenFlow 1.3, or when the server refuses.
    """
    if not target.startswith(("tcp:", "ssl:")):
        raise OvsdbError(f"{target}: a remote bridge cannot dial this; listen on tcp:IP:PORT or ssl:IP:PORT")
    rows = {row.name: row for row in _bridges(client)}
    chosen = [_usable(client.connection, name, rows) for name in dict.fromkeys(bridges)]
    missing = [row for row in chosen if target not in {ours.target for ours in _owned(row, owner)}]
    operations = [
        operation for index, row in enumerate(missing) for operation in _insert(row, f"row{index}", target, owner)
    ]
    if operations:
        client.transact([*operations, _comment(f"{owner}: dial {target}")])


def remove_service_controllers(
    client: OvsdbClient, *, owner: str = OUR_OWNER, target: str | None = None, bridges: Collection[str] | None = None
) -> tuple[str, ...]:
    """Remove every Controller row of ``owner`` from one OVSDB, or only those for one ``target``, or of some bridges.

    Returns the bridges that had one. Raises OvsdbError.
    """
    chosen = (row for row in _bridges(client) if bridges is None or row.name in bridges)
    rows = [row for row in chosen if _owned(row, owner, target)]
    if rows:
        removals = [
            _mutation(row, "delete", [["uuid", ours.uuid] for ours in _owned(row, owner, target)]) for row in rows
        ]
        client.transact([*removals, _comment(f"{owner}: detach")])
    return tuple(row.name for row in rows)


def _bridges(client: OvsdbClient) -> tuple[BridgeRow, ...]:
    return decode_rows(client.connection, client.transact(select_operations())).bridges


def _usable(ovsdb: str, name: str, rows: Mapping[str, BridgeRow]) -> BridgeRow:
    if name not in rows:
        known = ", ".join(rows) or "none"
        raise OvsdbError(f"{ovsdb}: no bridge {name!r} (bridges there: {known}); read the inventory again")
    obstacle = protocol_obstacle(name, rows[name].protocols)
    if obstacle is not None:
        raise OvsdbError(f"{ovsdb}: {obstacle}")
    return rows[name]


def _owned(row: BridgeRow, owner: str, target: str | None = None) -> tuple[ControllerRow, ...]:
    return tuple(
        controller
        for controller in row.controllers
        if controller.external_ids.get("owner") == owner and target in {None, controller.target}
    )


def _insert(row: BridgeRow, symbol: str, target: str, owner: str) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    controller: Mapping[str, Json] = {
        "target": target,
        "type": "service",
        "connection_mode": "out-of-band",
        "max_backoff": MAX_BACKOFF,
        "external_ids": ["map", [["owner", owner]]],
    }
    insert: Mapping[str, Json] = {"op": "insert", "table": "Controller", "row": controller, "uuid-name": symbol}
    return insert, _mutation(row, "insert", [["named-uuid", symbol]])


def _mutation(row: BridgeRow, mutator: str, references: Sequence[Json]) -> Mapping[str, Json]:
    # A Controller row nobody refers to is removed by ovsdb-server itself, so references are all there is to change.
    return {
        "op": "mutate",
        "table": "Bridge",
        "where": [["_uuid", "==", ["uuid", row.uuid]]],
        "mutations": [["controller", mutator, ["set", references]]],
    }


def _comment(text: str) -> Mapping[str, Json]:
    """Leaves the reason in the database's own journal (``ovsdb-tool show-log -m``)."""
    return {"op": "comment", "comment": text}
