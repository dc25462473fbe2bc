"""Turns a path or URL into an open database of ours: created on first use, migrated when older, refused otherwise."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from vtrace_ovs.errors import CodecError, StorageError
from vtrace_ovs.storage.faults import storage_error
from vtrace_ovs.storage.migration import bring_up_to_date
from vtrace_ovs.storage.writings import Writings

BUSY_TIMEOUT = 5.0
_WRITING = "vtrace_writing"
_SQLITE_HEADER = b"SQLite format 3\0"


class Database:
    """One open database. Sessions may be used from any thread, one session per thread at a time.

    On SQLite a writing session takes the write lock at once (BEGIN IMMEDIATE): a transaction that reads first and
    writes later would fail at its first write whenever another process wrote in between, without waiting.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        self.place = place
        self._engine = engine
        self._writing_engine = engine.execution_options(**{_WRITING: True})

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one consistent state. Database errors leave as StorageError."""
        with self._session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are kept together when it ends, or not at all when an error leaves it."""
        with self._session(self._writing_engine) as session:
            yield session
            session.commit()

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """A bare connection for one small question, at a fraction of a session's cost. Errors leave as StorageError."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise storage_error(error, self.place) from error

    def writings(self) -> Writings | None:
        """What is written to it from now on; None where only a query can tell: no file, or no more watches."""
        url = self._engine.url
        if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
            return None
        try:
            return Writings(Path(url.database).resolve())
        except (OSError, sqlite3.Error):
            return None

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        try:
            with Session(engine, expire_on_commit=False) as session:
                yield session
        except SQLAlchemyError as error:
            raise storage_error(error, self.place) from error
        except CodecError as error:
            raise StorageError(f"database {self.place}: {error}") from error


def open_database(url_or_path: str | Path, *, create: bool = True, busy_timeout: float = BUSY_TIMEOUT) -> Database:
    """The database at a path (SQLite) or SQLAlchemy URL, at the newest schema.

    ``busy_timeout`` is how long (seconds) to wait for another process that writes. Raises StorageError when there is no
    database and ``create`` is false, when it is not ours, newer than this program, locked, read-only or corrupt.
    """
    url = _url(url_or_path)
    sqlite = url.get_backend_name() == "sqlite"
    path = _sqlite_path(url) if sqlite else None
    place = url.render_as_string(hide_password=True) if path is None else str(path)
    if path is not None:
        _check_path(path, create=create)
    try:
        engine = _sqlite_engine(url, busy_timeout) if sqlite else create_engine(url, pool_pre_ping=True)
    except (NoSuchModuleError, ImportError) as error:
        raise StorageError(f"database {place} needs a driver that is not installed ({error}): install it") from error
    database = Database(engine, place)
    try:
        with database.writing() as session:
            bring_up_to_date(session.connection(), place, create=create)
        if sqlite:
            with engine.connect() as connection:
                _use_write_ahead_log(connection, busy_timeout)
    except SQLAlchemyError as error:
        database.close()
        raise storage_error(error, place) from error
    except StorageError:
        database.close()
        raise
    return database


def _url(url_or_path: str | Path) -> URL:
    text = str(url_or_path)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StorageError(f"database {text!r} is not a URL: write a path, or e.g. postgresql://host/name") from error


def _sqlite_path(url: URL) -> Path | None:
    """The file behind a SQLite URL, None for memory and for SQLite's own ``file:`` names."""
    name = url.database
    return None if not name or name == ":memory:" or name.startswith("file:") else Path(name)


def _check_path(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise StorageError(f"database {path} is a directory: name a file in it")
    if path.exists():
        _check_header(path)
        return
    if not create:
        raise StorageError(f"there is no database at {path}: check the name, or add a task first")
    if not path.parent.is_dir():
        raise StorageError(f"database {path} cannot be created: {path.parent} is not a directory; create it first")


def _check_header(path: Path) -> None:
    """SQLite takes a file shorter than its header for an empty database and would write over it."""
    try:
        with path.open("rb") as file:
            header = file.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise StorageError(f"database {path} cannot be read ({error.strerror}): check its permissions") from error
    if header not in (b"", _SQLITE_HEADER):
        raise StorageError(f"database {path} is not a SQLite database: name another file; nothing was changed")


def _sqlite_engine(url: URL, busy_timeout: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy_timeout})

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver's own idea of when to begin would leave DDL outside transactions and take locks late.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get(_WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _use_write_ahead_log(connection: Connection, busy_timeout: float) -> None:
    """Let readers go on while the controller writes. The mode stays in the file, so mostly there is nothing to do.

    SQLite does not wait when it cannot have the file to itself for the change, whatever its busy timeout: we do.
    """
    driver = connection.connection.driver_connection
    if driver is None:
        return
    deadline = time.monotonic() + busy_timeout
    pause = threading.Event()
    with closing(driver.cursor()) as cursor:
        while cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise DBAPIError("PRAGMA journal_mode = WAL", None, error) from error
                pause.wait(0.01)
