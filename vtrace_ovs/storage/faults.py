"""Turns what SQLAlchemy and SQLite raise into a StorageError of one line: what, where, and what to do about it."""

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from vtrace_ovs.errors import StorageError

_SQLITE = {
    sqlite3.SQLITE_BUSY: "is locked by another process: wait for it, or stop it",
    sqlite3.SQLITE_LOCKED: "is locked by this process: a session was left open",
    sqlite3.SQLITE_READONLY: "is read-only: make the file and its directory writable, or name another database",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its directory exists and may be written",
    sqlite3.SQLITE_PERM: "may not be accessed: check the permissions of the file and its directory",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database: name another file; nothing was changed",
    sqlite3.SQLITE_CORRUPT: "is corrupt: restore it, or move it away and start a new one",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written (input/output error): check the disk",
}
_PRIMARY_CODE = 0xFF


def storage_error(error: SQLAlchemyError, place: str) -> StorageError:
    """The StorageError for a database error at ``place`` (a path, or a URL without its password)."""
    origin = error.orig if isinstance(error, StatementError) else error
    if isinstance(origin, StorageError):
        return origin
    if isinstance(error, DBAPIError) and "foreign key" in str(origin).lower():
        return StorageError(f"database {place} has no such task: add it first")
    code = getattr(origin, "sqlite_errorcode", None)
    if code is not None and (known := _SQLITE.get(code & _PRIMARY_CODE)):
        return StorageError(f"database {place} {known}")
    first_line = next(iter(str(origin).strip().splitlines()), type(error).__name__)
    return StorageError(f"database {place} refused: {first_line}")
