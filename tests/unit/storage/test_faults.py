import sqlite3

import pytest
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError, SQLAlchemyError, StatementError

from vtrace_ovs.errors import StorageError
from vtrace_ovs.storage.faults import storage_error


def sqlite_fault(code: int) -> SQLAlchemyError:
    fault = sqlite3.OperationalError("from sqlite")
    fault.sqlite_errorcode = code  # what the driver sets
    return OperationalError("SELECT 1", {}, fault)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_BUSY, "is locked by another process"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "is locked by another process"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "is read-only"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_NOTADB, "is not a SQLite database"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "is corrupt"),
        (sqlite3.SQLITE_FULL, "the disk is full"),
        (sqlite3.SQLITE_IOERR_READ, "input/output error"),
        (sqlite3.SQLITE_CONSTRAINT_NOTNULL, "refused: from sqlite"),
    ],
)
def test_sqlite_codes_become_one_line_with_the_place_and_a_remedy(code: int, words: str) -> None:
    message = str(storage_error(sqlite_fault(code), "/var/x.db"))
    assert message.startswith("database /var/x.db ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "words",
    ["FOREIGN KEY constraint failed", 'insert on table "records" violates foreign key constraint "fk_records_task_id"'],
)
def test_evidence_without_its_task_is_told_apart_on_every_database(words: str) -> None:
    fault = IntegrityError("INSERT", {}, sqlite3.IntegrityError(words))
    assert str(storage_error(fault, "x")) == "database x has no such task: add it first"


def test_only_the_first_line_of_other_drivers_is_kept() -> None:
    fault = DatabaseError("SELECT 1", {}, Exception('relation "tasks" does not exist\nLINE 1: SELECT'))
    assert str(storage_error(fault, "pg")) == 'database pg refused: relation "tasks" does not exist'


def test_an_error_without_words_is_named() -> None:
    assert str(storage_error(SQLAlchemyError(""), "x")) == "database x refused: SQLAlchemyError"


def test_our_own_errors_come_through_unchanged() -> None:
    own = StorageError("5 does not fit")
    assert storage_error(StatementError("wrapped", "INSERT", {}, own), "x") is own
