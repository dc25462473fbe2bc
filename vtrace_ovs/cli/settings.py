"""Turns environment variables into ``Settings``; nothing else in the package reads the environment.

- ``VTRACE_OVSDB``: OVSDB servers to trace on, separated by commas (``unix:PATH``, ``tcp:HOST:PORT``, ``ssl:HOST:PORT``)
- ``VTRACE_OVN_SB``: OVN's southbound database, which knows what flows of ``br-int`` stand for; a cluster's, separated
  by commas
- ``VTRACE_LISTEN``: the address of this host that remote bridges dial while they are traced (``tcp:IP:PORT``)
- ``VTRACE_TLS_KEY`` and ``VTRACE_TLS_CERT`` and ``VTRACE_TLS_CA``: PEM files for ``ssl:`` servers, all three or none
- ``VTRACE_DATABASE``: path (SQLite) or SQLAlchemy URL of the task database
- ``VTRACE_RUNDIR``: directory of the lab's state
- ``OVS_RUNDIR``: where the local Open vSwitch keeps its sockets, as for its own programs (ovs-vswitchd(8))
- ``XDG_STATE_HOME``: parent of the database's directory, for users other than root
- ``VTRACE_NO_UNDERLAY``: any value but an empty one keeps us off underlay bridges
- ``VTRACE_MAX_TASKS``: how many tasks may run at once, 1 to MOST_TASKS
- ``NO_COLOR``: any value but an empty one turns colours off
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.model.task import MOST_TASKS

if TYPE_CHECKING:
    from vtrace_ovs.ovsdb.client import TlsFiles

_METHODS = ("unix:", "tcp:", "ssl:")
_SYSTEM_DATABASE = Path("/var/lib/vtrace/vtrace.db")
_TLS_VARIABLES = ("VTRACE_TLS_KEY", "VTRACE_TLS_CERT", "VTRACE_TLS_CA")
_LAB_RUNDIR = Path("/run/vtrace")
_OVS_RUNDIR = Path("/var/run/openvswitch")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the surroundings say.

    ``ovsdb`` are OVSDB connection strings; ``ovsdb_given`` is false when they are only the default, the local server.
    ``database`` is a path or SQLAlchemy URL. ``listen`` is what remote bridges dial, ``tls`` what ``ssl:`` needs.
    ``ovn_southbound`` are the connections of OVN's southbound database, if it may be asked. ``underlay``: its bridges
    may be asked for post-cards. More than ``max_tasks`` at once are refused.
    """

    ovsdb: tuple[str, ...]
    ovsdb_given: bool
    database: str
    rundir: Path
    colours: bool
    listen: str | None = None
    tls: "TlsFiles | None" = None
    ovn_southbound: tuple[str, ...] = ()
    underlay: bool = True
    max_tasks: int = MOST_TASKS


def read_settings(environment: Mapping[str, str] | None = None, user_id: int | None = None) -> Settings:
    """The settings of this process, or of another environment and user id.

    An empty variable counts as unset. Raises UsageError naming the variable that cannot be right.
    """
    known = os.environ if environment is None else environment
    given = known.get("VTRACE_OVSDB") or ""
    southbound = known.get("VTRACE_OVN_SB") or ""
    local = f"unix:{Path(known.get('OVS_RUNDIR') or _OVS_RUNDIR) / 'db.sock'}"
    return Settings(
        ovsdb=ovsdb_connections(given, "VTRACE_OVSDB") if given else (local,),
        ovsdb_given=bool(given),
        database=known.get("VTRACE_DATABASE") or str(_default_database(known, user_id)),
        rundir=Path(known.get("VTRACE_RUNDIR") or _LAB_RUNDIR),
        colours=not known.get("NO_COLOR"),
        listen=known.get("VTRACE_LISTEN") or None,
        tls=_tls_files(known),
        ovn_southbound=ovsdb_connections(southbound, "VTRACE_OVN_SB") if southbound else (),
        underlay=not known.get("VTRACE_NO_UNDERLAY"),
        max_tasks=_max_tasks(known.get("VTRACE_MAX_TASKS") or str(MOST_TASKS)),
    )


def with_listen(settings: Settings, option: str | None) -> Settings:
    """The settings, with ``--listen`` if it was given."""
    return settings if option is None else replace(settings, listen=option)


def with_southbound(settings: Settings, option: str | None) -> Settings:
    """The settings, with ``--ovn-sb`` if it was given. Raises UsageError when it names no connection."""
    return settings if option is None else replace(settings, ovn_southbound=ovsdb_connections(option, "--ovn-sb"))


def without_underlay(settings: Settings, *, option: bool) -> Settings:
    """The settings, with ``--no-underlay`` if it was given."""
    return replace(settings, underlay=False) if option else settings


def ovsdb_connections(text: str, source: str) -> tuple[str, ...]:
    """A comma-separated list of OVSDB connection strings (ovsdb(7), active methods), each once.

    Raises UsageError that names ``source``, the variable or option the text comes from.
    """
    connections = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not connections:
        raise UsageError(f"{source} names no OVSDB server: write unix:PATH or tcp:HOST:PORT, separated by commas")
    for connection in connections:
        method = next((method for method in _METHODS if connection.startswith(method)), None)
        if method is None or connection == method:
            raise UsageError(f"{source}: {connection!r} is not an OVSDB connection: write unix:PATH or tcp:HOST:PORT")
    return connections


def _max_tasks(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_TASKS:
        raise UsageError(f"VTRACE_MAX_TASKS: {text!r} is not a number from 1 to {MOST_TASKS}")
    return int(text)


def _tls_files(environment: Mapping[str, str]) -> "TlsFiles | None":
    given = [environment.get(name) or "" for name in _TLS_VARIABLES]
    if not any(given):
        return None
    missing = [name for name, value in zip(_TLS_VARIABLES, given, strict=True) if not value]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not set: an ssl: server needs key, certificate and CA, all three")
    from vtrace_ovs.ovsdb.client import TlsFiles  # noqa: PLC0415 - slow to import, and few need it

    return TlsFiles(*map(Path, given))


def _default_database(environment: Mapping[str, str], user_id: int | None) -> Path:
    if (os.geteuid() if user_id is None else user_id) == 0:
        return _SYSTEM_DATABASE
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "vtrace" / "vtrace.db"
