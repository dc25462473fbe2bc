"""Turns several OVSDB connection strings into one Inventory, reading all servers at the same time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import time

from vtrace_ovs.codecs.ovsdb_json import ServerRows, decode_rows, select_operations
from vtrace_ovs.codecs.ovsdb_rows import topology_of
from vtrace_ovs.errors import CodecError, OvsdbError
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.ovsdb.client import OvsdbClient, TlsFiles

MAX_PARALLEL_READS = 32


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the OVSDBs say, and one sentence for each server or row that could not be used as it is."""

    topology: Topology
    problems: tuple[str, ...] = ()


def read_inventory(connections: Sequence[str], timeout: float, tls: TlsFiles | None = None) -> Inventory:
    """Read all servers at once; ``timeout`` is in seconds for each. Connections: ovsdb(7), ``unix:``/``tcp:``/``ssl:``.

    A server that does not answer is a problem of the inventory when others do; OvsdbError when none answers.
    """
    if not connections:
        raise OvsdbError("no OVSDB server named; give at least one, e.g. --ovsdb unix:/var/run/openvswitch/db.sock")
    unique = tuple(dict.fromkeys(connections))
    with ThreadPoolExecutor(min(len(unique), MAX_PARALLEL_READS), thread_name_prefix="ovsdb") as pool:
        answers = list(pool.map(lambda connection: _rows_or_error(connection, timeout, tls), unique))
    servers = [answer for answer in answers if isinstance(answer, ServerRows)]
    failures = [answer for answer in answers if isinstance(answer, OvsdbError)]
    if not servers:
        raise OvsdbError("; ".join(map(str, failures))) from failures[0]
    reading = topology_of(servers)
    return Inventory(reading.topology, (*map(str, failures), *reading.oddities))


def _rows_or_error(connection: str, timeout: float, tls: TlsFiles | None) -> ServerRows | OvsdbError:
    try:
        with OvsdbClient(connection, timeout, tls) as client:
            rows = decode_rows(connection, client.transact(select_operations()))
            return replace(rows, read_at=time())
    except OvsdbError as error:
        return error
    except CodecError as error:
        return OvsdbError(str(error))
