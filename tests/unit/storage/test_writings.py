import errno
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.storage import database
from vtrace_ovs.storage.database import Database
from vtrace_ovs.storage.store import Store
from vtrace_ovs.storage.writings import Writings

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


def test_it_ends_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    writings = Writings(folder / "vtrace.db")
    waiting = Waiting(writings)
    shutil.rmtree(folder)
    assert waiting.result() is False
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
