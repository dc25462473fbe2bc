import errno
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.storage import database
from vtrace_ovs.storage.database import Database
from vtrace_ovs.storage.store import Store
from vtrace_ovs.storage.writings import LAST_LOOK, Writings

DEADLINE = 60.0
REQUEST = TraceRequest(Filter("tcp", protocol=6))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "vtrace.db"


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    with Store.open(place) as opened:
        yield opened


class Waiting:
    """Somebody who waits for one news."""

    def __init__(self, writings: Writings) -> None:
        self.told: list[bool] = []
        self._thread = threading.Thread(target=lambda: self.told.append(writings.wait()), daemon=True)
        self._thread.start()

    def is_left_waiting(self) -> None:
        self._thread.join(4 * LAST_LOOK / 1000)
        assert not self.told

    def result(self) -> bool:
        self._thread.join(DEADLINE)
        (told,) = self.told
        return told


def found(store: Store) -> Writings:
    writings = store.writings()
    assert writings is not None
    return writings


def test_what_anybody_writes_is_told_to_who_waits(store: Store, place: Path) -> None:
    writings = found(store)
    waiting = Waiting(writings)
    with Store.open(place) as somebody:
        somebody.add_task(REQUEST, at=1000.0)
        assert waiting.result()
    store.add_task(REQUEST, at=1000.0)
    assert Waiting(writings).result()
    writings.close()
    assert Waiting(writings).result() is False


def test_other_files_of_its_folder_are_none_of_its_business(store: Store, place: Path) -> None:
    writings = found(store)
    waiting = Waiting(writings)
    for number in range(20):
        place.with_name(f"{number}.db-wal").write_text("news")
    writings.close()
    assert waiting.result() is False


def test_who_waits_when_it_is_closed_is_told_so(store: Store) -> None:
    writings = found(store)
    waiting = Waiting(writings)
    writings.close()
    assert waiting.result() is False
    writings.close()


def test_what_is_not_committed_yet_is_no_news(store: Store, place: Path) -> None:
    writings = found(store)
    waiting = Waiting(writings)
    with closing(sqlite3.connect(place, isolation_level=None)) as somebody:
        somebody.execute("PRAGMA cache_spill = 1")
        somebody.execute("BEGIN")
        somebody.execute("CREATE TABLE news (text)")
        somebody.executemany("INSERT INTO news VALUES (?)", [("long" * 1000,)] * 1000)  # more than its cache holds
        log = place.with_name("vtrace.db-wal").stat().st_size
        assert log > 1000 * len("long")
        waiting.is_left_waiting()
        somebody.execute("COMMIT")
        assert waiting.result()
    writings.close()
    assert Waiting(writings).result() is False


def test_a_database_that_cannot_be_asked_is_news(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writings = found(store)
    monkeypatch.setattr(Writings, "_version", lambda _: None)
    waiting = Waiting(writings)
    store.add_task(REQUEST, at=1000.0)
    assert waiting.result()
    writings.close()
    assert Waiting(writings).result() is False


def test_it_can_be_closed_though_its_folder_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    Store.open(folder / "vtrace.db").close()
    writings = Writings(folder / "vtrace.db")
    waiting = Waiting(writings)
    shutil.rmtree(folder)
    writings.close()
    while waiting.result():
        waiting = Waiting(writings)
    writings.close()


def test_what_has_no_file_is_not_watched() -> None:
    engine = create_engine("sqlite://")
    assert Database(engine, "memory").writings() is None
    engine.dispose()


def test_where_the_kernel_takes_no_more_watches_nothing_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> Writings:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(database, "Writings", full)
    assert store.writings() is None


def test_a_folder_that_cannot_be_watched_leaves_nothing_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        Writings(tmp_path / "missing" / "vtrace.db")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
