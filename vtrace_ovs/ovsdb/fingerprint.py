"""Turns one local bridge into a canonical snapshot of everything we promise not to change, to compare before and after.

Flows, groups and meters are read by ovs-ofctl(8), so that Open vSwitch itself is the judge; hidden flows (in-band
control, trap T2) by ``bridge/dump-flows`` over the unixctl socket of ovs-vswitchd(8); rows from OVSDB. Counters, ages
and status columns are left out.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from vtrace_ovs.codecs.ovsdb_json import Json
from vtrace_ovs.errors import OpenFlowError, OvsdbError
from vtrace_ovs.ovsdb.client import OvsdbClient
from vtrace_ovs.ovsdb.unixctl import control_socket

# Columns ovs-vswitchd writes on its own, and row identities (ovs-vswitchd.conf.db(5)).
VOLATILE_COLUMNS = frozenset(
    {
        "_uuid",
        "_version",
        "status",
        "is_connected",
        "role",
        "statistics",
        "rstp_status",
        "rstp_statistics",
        "controller",
    }
)
HIGHEST_VISIBLE_PRIORITY = 65535
INTERNAL_TABLE = 254
_COUNTERS = re.compile(r"(duration|n_packets|n_bytes|n_offload_packets|n_offload_bytes)=[^,]*, ")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Sorted lines of text per section. Equal fingerprints mean: no difference a controller or operator could see."""

    flows: tuple[str, ...]
    groups: tuple[str, ...]
    meters: tuple[str, ...]
    hidden_flows: tuple[str, ...]
    controllers: tuple[str, ...]
    bridge: tuple[str, ...]
    mirrors: tuple[str, ...]


def fingerprint(rundir: Path, bridge: str, timeout: float) -> Fingerprint:
    """The snapshot of ``bridge`` of the Open vSwitch in ``rundir``; ``timeout`` (seconds) bounds each reading.

    Raises InfrastructureError when a part cannot be read.
    """
    management = f"unix:{rundir / f'{bridge}.mgmt'}"
    rows = _rows(rundir, bridge, timeout)
    return Fingerprint(
        flows=_openflow("dump-flows", management, timeout),
        groups=_openflow("dump-groups", management, timeout),
        meters=_openflow("dump-meters", management, timeout),
        hidden_flows=_hidden_flows(rundir, bridge, timeout),
        controllers=rows["Controller"],
        bridge=rows["Bridge"],
        mirrors=rows["Mirror"],
    )


def difference(before: Fingerprint, after: Fingerprint) -> tuple[str, ...]:
    """What changed, one line each: ``section: - gone`` and ``section: + new``. Empty when nothing did."""
    changes: list[str] = []
    for section in fields(Fingerprint):
        old, new = getattr(before, section.name), getattr(after, section.name)
        changes += (f"{section.name}: - {line}" for line in _without(old, new))
        changes += (f"{section.name}: + {line}" for line in _without(new, old))
    return tuple(changes)


def _without(lines: Sequence[str], others: Iterable[str]) -> list[str]:
    left = list(lines)
    for other in others:
        if other in left:
            left.remove(other)
    return left


def _openflow(command: str, management: str, timeout: float) -> tuple[str, ...]:
    words = ["ovs-ofctl", "-O", "OpenFlow13", "--no-names", "--no-stats", command, management]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OpenFlowError(
            f"{' '.join(words)}: {error}; check that ovs-vswitchd runs and ovs-ofctl is there"
        ) from error
    if done.returncode:
        raise OpenFlowError(f"{' '.join(words)}: {done.stderr.strip()}")
    # One meter spans lines; the reply headers carry a transaction id.
    joined = re.sub(r"\n(?=type=)", " ", done.stdout)
    return tuple(sorted(line.strip() for line in joined.splitlines() if line.strip() and " reply (" not in line))


def _hidden_flows(rundir: Path, bridge: str, timeout: float) -> tuple[str, ...]:
    with control_socket(rundir, timeout) as control:
        (text,) = control.run(("bridge/dump-flows", bridge))
    return tuple(sorted(line for line in (_COUNTERS.sub("", flow) for flow in text.splitlines()) if _hidden(line)))


def _hidden(line: str) -> bool:
    priority = re.search(r"priority=(\d+)", line)
    return f"table_id={INTERNAL_TABLE}," in line or (
        priority is not None and int(priority[1]) > HIGHEST_VISIBLE_PRIORITY
    )


def _rows(rundir: Path, bridge: str, timeout: float) -> Mapping[str, tuple[str, ...]]:
    with OvsdbClient(f"unix:{rundir / 'db.sock'}", timeout) as client:
        here = [["name", "==", bridge]]
        (found,) = client.transact([{"op": "select", "table": "Bridge", "where": here}])
        references = _row_list(found)
        if not references:
            raise OvsdbError(f"{client.connection}: no bridge {bridge!r}")
        row = references[0]
        sections = {"Bridge": references}
        for table, column in (("Controller", "controller"), ("Mirror", "mirrors")):
            uuids = _references(row[column])
            results = client.transact(
                [{"op": "select", "table": table, "where": [["_uuid", "==", uuid]]} for uuid in uuids]
            )
            sections[table] = [one for result in results for one in _row_list(result)]
    return {table: tuple(sorted(map(_row_text, rows))) for table, rows in sections.items()}


def _row_list(result: Json) -> list[Mapping[str, Json]]:
    rows = result.get("rows") if isinstance(result, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _references(value: Json) -> list[Json]:
    if isinstance(value, list) and value[0] == "set" and isinstance(value[1], list):
        return value[1]
    return [value]


def _row_text(row: Mapping[str, Json]) -> str:
    return ", ".join(f"{column}={row[column]}" for column in sorted(row) if column not in VOLATILE_COLUMNS)
