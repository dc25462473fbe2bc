"""Turns an OVN southbound connection and cookies into what those cookies stand for. Reads only; registers nothing."""

from collections.abc import Collection, Iterable, Sequence

from vtrace_ovs.codecs.southbound import (
    LOGICAL_FLOW,
    NORTHBOUND,
    SOUTHBOUND,
    TABLES,
    FoundRow,
    Row,
    datapaths_of,
    fitting,
    hint_of,
    members_of,
    name_of_flow,
    name_of_many,
    name_of_row,
    rows_of,
    selected,
    uuids_of,
)
from vtrace_ovs.errors import CodecError, OvsdbError
from vtrace_ovs.model.profile import NamedFlow
from vtrace_ovs.ovsdb.client import OvsdbClient, TlsFiles


def read_names(
    connections: Sequence[str], cookies: Collection[int], timeout: float, tls: TlsFiles | None = None
) -> tuple[NamedFlow, ...]:
    """What OVN says of these cookies; nothing of those it has no row for (any more).

    The first of the cluster's ``connections`` that answers is asked; ``timeout`` is in seconds for each. The ACL behind
    a logical flow is named where the same server holds the northbound database too. Raises OvsdbError.
    """
    failures: list[OvsdbError] = []
    for connection in connections:
        try:
            return _read(connection, cookies, timeout, tls)
        except OvsdbError as error:
            failures.append(error)
        except (CodecError, KeyError, IndexError, TypeError, ValueError) as error:
            failures.append(
                OvsdbError(f"{connection}: what answers there is not OVN's southbound database ({error!r})")
            )
    raise OvsdbError("; ".join(map(str, failures)) or "no southbound database named")


def _read(connection: str, cookies: Iterable[int], timeout: float, tls: TlsFiles | None) -> tuple[NamedFlow, ...]:
    with OvsdbClient(connection, timeout, tls) as client:
        found = fitting(TABLES, client.transact(uuids_of(TABLES), SOUTHBOUND), cookies)
        by_cookie: dict[int, list[FoundRow]] = {}
        for row in found:
            by_cookie.setdefault(row.cookie, []).append(row)
        northbound = NORTHBOUND in client.databases()
        named = (_named(client, cookie, rows, northbound=northbound) for cookie, rows in by_cookie.items())
        return tuple(each for each in named if each is not None)


def _named(client: OvsdbClient, cookie: int, rows: list[FoundRow], *, northbound: bool) -> NamedFlow | None:
    if len(rows) > 1:
        return name_of_many(cookie, len(rows))
    (found,) = rows
    read = _rows(client, rows)
    if not read:
        return None
    if found.table != LOGICAL_FLOW:
        return name_of_row(found, read[0])
    places = datapaths_of(read[0])
    groups = [place for place in places if place.table != "Datapath_Binding"]
    members = [member for group in _rows(client, groups) for member in members_of(group)]
    datapaths = _rows(client, [*(place for place in places if place not in groups), *members])
    return name_of_flow(found, read[0], datapaths, _acl(client, hint_of(read[0])) if northbound else None)


def _rows(client: OvsdbClient, wanted: list[FoundRow]) -> list[Row]:
    if not wanted:
        return []
    return [row for result in client.transact(rows_of(wanted), SOUTHBOUND) for row in selected(result)]


def _acl(client: OvsdbClient, hint: int | None) -> tuple[FoundRow, Row] | None:
    """The only northbound ACL whose UUID begins so."""
    if hint is None:
        return None
    found = fitting(("ACL",), client.transact(uuids_of(("ACL",)), NORTHBOUND), (hint,))
    if len(found) != 1:
        return None
    rows = [row for result in client.transact(rows_of(found), NORTHBOUND) for row in selected(result)]
    return (found[0], rows[0]) if rows else None
