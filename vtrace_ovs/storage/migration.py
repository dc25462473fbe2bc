"""Turns a connected database of any age into one at the newest schema, or says why it will not be touched.

The revisions are in ``migrations/`` beside the package in a checkout, in ``vtrace_ovs/_migrations`` when installed.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from vtrace_ovs.errors import StorageError
from vtrace_ovs.storage.schema import VERSION_TABLE, Base

_PACKAGE = Path(__file__).resolve().parent.parent


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for running our revisions inside the transaction of this connection."""
    installed = _PACKAGE / "_migrations"
    location = installed if installed.is_dir() else _PACKAGE.parent / "migrations"
    if not location.is_dir():
        raise StorageError(f"the schema revisions are missing from {location}: install vtrace-ovs again")
    config = Config()
    config.set_main_option("script_location", str(location).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def bring_up_to_date(connection: Connection, place: str, *, create: bool) -> None:
    """Create or migrate the schema within the caller's transaction, which on SQLite already holds the write lock.

    Raises StorageError when there is something at ``place`` that we did not write, or that a newer version wrote.
    """
    tables = set(inspect(connection).get_table_names())
    config = alembic_config(connection)
    if not tables:
        # An empty file is fine: another process may have created it this moment, and there is nothing to lose in it.
        if not create:
            raise StorageError(f"database {place} is empty: check the name, or add a task first")
        command.upgrade(config, "head")
        return
    if VERSION_TABLE not in tables:
        raise StorageError(f"database {place} belongs to another program: name another one; nothing was changed")
    if _is_older(config, _revision(connection, place), place):
        command.upgrade(config, "head")
        tables = set(inspect(connection).get_table_names())
    # SQLite begins a write transaction on a read-only database without a word; only a write, even of nothing, tells.
    connection.execute(text(f"DELETE FROM {VERSION_TABLE} WHERE 1 = 0"))  # noqa: S608 - a constant
    missing = sorted(Base.metadata.tables.keys() - tables)
    if missing:
        raise StorageError(
            f"database {place} lacks table {missing[0]}: restore it, or move it away and start a new one"
        )


def _revision(connection: Connection, place: str) -> str:
    revisions = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()  # noqa: S608 - a constant
    if len(revisions) != 1:
        raise StorageError(f"database {place} has {len(revisions)} schema revisions, not one: restore it")
    return str(revisions[0])


def _is_older(config: Config, revision: str, place: str) -> bool:
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head() or ""
    if revision == head:
        return False
    if revision in {each.revision for each in script.walk_revisions()}:
        return True
    if revision > head:  # revision ids are zero-padded numbers, so they sort
        raise StorageError(
            f"database {place} was written by a newer version (schema {revision}, ours is {head}): upgrade vtrace"
        )
    raise StorageError(f"database {place} has schema {revision}, which no version ever had: restore it")
