import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.storage.database import open_database
from vtrace_ovs.storage.store import Store


def refused(place: str | Path, *, create: bool = True) -> str:
    with pytest.raises(StorageError) as caught:
        open_database(place, create=create, busy_timeout=0.01)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_new_database_is_created_in_wal_mode_with_foreign_keys_on(path: Path) -> None:
    database = open_database(path)
    with database.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []
    database.close()


def test_a_path_and_its_url_are_the_same_database(path: Path, request_for_tcp: TraceRequest) -> None:
    with Store.open(path) as store:
        store.add_task(request_for_tcp, 1.0)
    with Store.open(f"sqlite:///{path}", create=False) as store:
        assert len(store.tasks()) == 1
        assert store.place == str(path)


def test_nothing_is_created_unless_asked(path: Path) -> None:
    assert f"there is no database at {path}" in refused(path, create=False)
    assert not path.exists()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'gone'} is not a directory; create it first" in refused(tmp_path / "gone" / "x.db")


def test_a_directory_is_not_a_database(tmp_path: Path) -> None:
    assert "is a directory: name a file in it" in refused(tmp_path)


@pytest.mark.parametrize(
    "content", [b"x", b"not a database\n" * 100, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 500]
)
def test_a_file_of_another_kind_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "is not a SQLite database" in refused(path)
    assert path.read_bytes() == content


def test_somebody_else_s_database_is_refused_and_left_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
    connection.close()
    before = path.read_bytes()
    assert "belongs to another program: name another one; nothing was changed" in refused(path)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_database_because_nothing_is_lost(path: Path) -> None:
    path.touch()
    assert "is empty" in refused(path, create=False)
    open_database(path).close()


def test_a_read_only_database_is_refused(path: Path) -> None:
    open_database(path).close()
    assert "is read-only: make the file" in refused(f"sqlite:///file:{path}?mode=ro&uri=true")


def test_a_corrupt_database_is_refused(path: Path) -> None:
    open_database(path).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xa5" * (4096 - 100)
    path.write_bytes(content)
    assert "is corrupt: restore it" in refused(path)


def test_a_truncated_database_is_refused(path: Path, request_for_tcp: TraceRequest) -> None:
    with Store.open(path) as store:
        store.add_task(request_for_tcp, 1.0)
    path.write_bytes(path.read_bytes()[:8192])
    assert "is corrupt: restore it" in refused(path)


def test_a_locked_database_is_refused_after_the_busy_timeout(path: Path) -> None:
    open_database(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "is locked by another process" in refused(path)
    other.execute("ROLLBACK")
    other.close()
    open_database(path).close()


@pytest.fixture
def reader_before_wal(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process in the middle of reading a database that was created, but not yet switched to WAL."""
    open_database(path).close()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM tasks").fetchone()
        yield other


def test_a_reader_at_the_moment_of_the_first_opening_is_waited_for(
    path: Path, reader_before_wal: sqlite3.Connection
) -> None:
    release = threading.Timer(0.1, reader_before_wal.execute, ["ROLLBACK"])
    release.start()
    open_database(path, busy_timeout=5.0).close()
    release.join()
    with closing(sqlite3.connect(path)) as later:
        assert later.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_that_stays_at_the_first_opening_is_a_storage_error(
    path: Path, reader_before_wal: sqlite3.Connection
) -> None:
    assert reader_before_wal.in_transaction
    assert "is locked by another process" in refused(path)


def test_a_database_locked_while_in_use_is_a_storage_error(path: Path, request_for_tcp: TraceRequest) -> None:
    with Store.open(path, busy_timeout=0.01) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert store.tasks() == ()
        with pytest.raises(StorageError, match="is locked by another process"):
            store.add_task(request_for_tcp, 1.0)
        other.execute("ROLLBACK")
        other.close()
        assert store.add_task(request_for_tcp, 1.0).id == 1


def test_an_error_leaves_nothing_half_done(path: Path) -> None:
    database = open_database(path)

    def fail_halfway() -> None:
        with database.writing() as session:
            session.execute(text("INSERT INTO contents VALUES ('d', 'flows', 0, '')"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    with database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM contents")).scalar_one() == 0
    database.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuch://host/name", "needs a driver that is not installed"),
        ("postgresql://:port:/x/y", "is not a URL"),
    ],
)
def test_a_url_we_cannot_use_is_refused(url: str, message: str) -> None:
    assert message in refused(url)


def test_the_password_of_a_url_is_not_shown() -> None:
    assert "secret" not in refused("nosuch://user:secret@host/name")


def test_readers_see_whole_transactions_while_another_thread_writes(path: Path, request_for_tcp: TraceRequest) -> None:
    with Store.open(path) as store:
        writer = threading.Thread(target=lambda: [store.add_task(request_for_tcp, 1.0) for _ in range(50)])
        writer.start()
        seen = [len(store.tasks())]
        while writer.is_alive():
            seen.append(len(store.tasks()))
        writer.join()
        assert seen == sorted(seen)
        assert len(store.tasks()) == 50
