from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from vtrace_ovs.errors import StorageError
from vtrace_ovs.storage.migration import alembic_config, bring_up_to_date
from vtrace_ovs.storage.schema import VERSION_TABLE, Base


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return list(compare_metadata(context, Base.metadata))


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def test_the_revisions_end_where_the_models_stand_and_can_be_taken_back(path: Path) -> None:
    with connected(path) as connection:
        config = alembic_config(connection)
        command.upgrade(config, "head")
        assert differences(connection) == []
        command.downgrade(config, "base")
        assert tables(connection) == {VERSION_TABLE}
        command.upgrade(config, "head")
        assert differences(connection) == []


def test_every_step_can_be_taken_alone_and_back(path: Path) -> None:
    with connected(path) as connection:
        config = alembic_config(connection)
        revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
        for revision in reversed(revisions):
            command.upgrade(config, revision)
            command.downgrade(config, "-1")
            command.upgrade(config, revision)


def test_revision_numbers_sort_in_the_order_of_the_history(path: Path) -> None:
    with connected(path) as connection:
        history = [each.revision for each in ScriptDirectory.from_config(alembic_config(connection)).walk_revisions()]
    assert history == sorted(history, reverse=True)
    assert all(len(revision) == 4 and revision.isdigit() for revision in history)


def test_an_empty_database_is_filled_only_when_creating_is_wanted(path: Path) -> None:
    with connected(path) as connection, pytest.raises(StorageError, match="is empty"):
        bring_up_to_date(connection, "x", create=False)
    with connected(path) as connection:
        bring_up_to_date(connection, "x", create=True)
        assert tables(connection) == {VERSION_TABLE, *Base.metadata.tables}


def test_an_older_schema_is_migrated(path: Path) -> None:
    with connected(path) as connection:
        command.upgrade(alembic_config(connection), "0001")
    with connected(path) as connection:
        bring_up_to_date(connection, "x", create=False)
        assert differences(connection) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE vtrace_schema_version SET version_num = '9999'", r"newer version \(schema 9999, .*\): upgrade vtrace"),
        ("UPDATE vtrace_schema_version SET version_num = '0000'", "schema 0000, which no version ever had"),
        ("DELETE FROM vtrace_schema_version", "has 0 schema revisions, not one"),
        ("DROP TABLE vtrace_schema_version", "belongs to another program"),
        ("DROP TABLE samples", "lacks table samples"),
    ],
)
def test_what_we_cannot_have_written_is_refused_and_left_alone(path: Path, damage: str, message: str) -> None:
    with connected(path) as connection:
        bring_up_to_date(connection, "x", create=True)
        connection.execute(text(damage))
        before = tables(connection)
    with connected(path) as connection:
        with pytest.raises(StorageError, match=message):
            bring_up_to_date(connection, "x", create=True)
        assert tables(connection) == before
