import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from vtrace_ovs.controller import ledger
from vtrace_ovs.controller.ledger import Ledger, merged
from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.task import IntentDraft, IntentKind, Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Topology
from vtrace_ovs.session.commands import EraseIntents, SaveRecords, SaveTaskState, WriteIntents
from vtrace_ovs.session.events import CancelRequested, Event, IntentsWritten, TaskClaimed
from vtrace_ovs.storage.store import Store

DEADLINE = 60.0
HERE, THERE = BridgeId("cs1", "br"), BridgeId("cs2", "br")
REQUEST = TraceRequest(Filter("tcp", protocol=6))


def record(task: int, sequence: int) -> PacketInRecord:
    headers = Headers("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, 60)
    return PacketInRecord(sequence, task, HERE, None, Loc.IN, "p", None, headers, 1, 1, 1000.0)


def intent(task: int, bridge: BridgeId = HERE) -> IntentDraft:
    return IntentDraft(task, IntentKind.METER, str(bridge), "unix:x.sock", "1,2")


class Book:
    """A ledger on a real store, and what it said."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: list[Event] = []
        self.errors: list[Exception] = []
        self._news = threading.Condition()
        self.ledger = Ledger(store, self._post, self._failed)

    def _post(self, event: Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def _failed(self, error: Exception) -> None:
        with self._news:
            self.errors.append(error)
            self._news.notify_all()

    def until(self, enough: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(enough, DEADLINE)

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Store.open(tmp_path / "vtrace.db") as store:
        book = Book(store)
        book.ledger.start()
        yield book
        book.ledger.close()


@pytest.fixture
def task(book: Book) -> Task:
    return book.store.add_task(REQUEST, at=1000.0)


def test_neighbouring_records_become_one_batch_and_nothing_changes_places() -> None:
    one, two, three = (SaveRecords((record(1, number),)) for number in range(3))
    state = SaveTaskState(1, TaskState.ARMED, 1.0)
    assert list(merged([one, two, state, three])) == [SaveRecords((*one.records, *two.records)), state, three]
    assert list(merged([])) == []


def test_new_tasks_are_taken_only_when_the_analyser_is_ready(book: Book, task: Task) -> None:
    book.ledger.put(WriteIntents(1, (intent(task.id),)))
    book.until(lambda: bool(book.told(IntentsWritten)))
    assert not book.told(TaskClaimed)
    book.ledger.accept_tasks()
    book.until(lambda: bool(book.told(TaskClaimed)))
    (claimed,) = book.told(TaskClaimed)
    assert isinstance(claimed, TaskClaimed)
    assert (claimed.task.id, claimed.task.state) == (task.id, TaskState.ANALYSER_READY)


def test_a_controller_about_to_end_takes_no_more_tasks(book: Book) -> None:
    book.ledger.accept_tasks()
    book.ledger.refuse_tasks()
    late = book.store.add_task(REQUEST, at=1000.0)
    for batch in range(3):
        book.ledger.put(WriteIntents(batch, (intent(late.id),)))
        book.until(lambda batch=batch: len(book.told(IntentsWritten)) > batch)  # type: ignore[misc]
    assert not book.told(TaskClaimed)


def test_a_request_to_cancel_is_told_once(book: Book, task: Task) -> None:
    book.ledger.accept_tasks()
    book.until(lambda: bool(book.told(TaskClaimed)))
    book.store.request_cancel(task.id)
    book.until(lambda: bool(book.told(CancelRequested)))
    book.ledger.put(WriteIntents(1, (intent(task.id),)))
    book.until(lambda: bool(book.told(IntentsWritten)))
    assert len(book.told(CancelRequested)) == 1


def test_a_task_that_came_another_way_can_be_cancelled_too(book: Book, task: Task) -> None:
    book.ledger.follow(task.id)
    book.store.request_cancel(task.id)
    book.until(lambda: bool(book.told(CancelRequested)))


def test_a_task_is_taken_when_it_is_written_not_when_the_next_look_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "POLL_INTERVAL", 3600.0)
    with Store.open(tmp_path / "vtrace.db") as store, Store.open(tmp_path / "vtrace.db") as somebody:
        book = Book(store)
        book.ledger.start()
        book.ledger.accept_tasks()
        task = somebody.add_task(REQUEST, at=1000.0)
        book.until(lambda: bool(book.told(TaskClaimed)))
        somebody.request_cancel(task.id)
        book.until(lambda: bool(book.told(CancelRequested)))
        book.ledger.close()


def test_where_nobody_tells_of_writings_the_database_is_asked_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path / "vtrace.db") as store:
        monkeypatch.setattr(Store, "writings", lambda _: None)
        book = Book(store)
        book.ledger.start()
        book.ledger.accept_tasks()
        for number in range(1, 3):
            store.add_task(REQUEST, at=1000.0)
            book.until(lambda number=number: len(book.told(TaskClaimed)) == number)  # type: ignore[misc]
        book.ledger.close()


def test_intents_are_durable_before_they_are_confirmed(book: Book, task: Task) -> None:
    book.ledger.put(WriteIntents(3, (intent(task.id), intent(task.id, THERE))))
    book.until(lambda: bool(book.told(IntentsWritten)))
    (written,) = book.told(IntentsWritten)
    assert isinstance(written, IntentsWritten)
    assert written.batch == 3
    assert [entry.target for entry in book.store.open_intents()] == ["cs1/br", "cs2/br"]


def test_erasing_closes_the_intents_of_that_bridge_and_task_only(book: Book, task: Task) -> None:
    book.ledger.put(WriteIntents(1, (intent(task.id), intent(task.id), intent(task.id, THERE))))
    book.ledger.put(EraseIntents(HERE, (task.id, 99)))
    book.ledger.close()
    assert [entry.target for entry in book.store.open_intents()] == ["cs2/br"]


def test_what_is_queued_is_stored_before_the_thread_ends(book: Book, task: Task) -> None:
    for number in range(200):
        book.ledger.put(SaveRecords((record(task.id, number),)))
    book.ledger.put(SaveTaskState(task.id, TaskState.DONE, 1001.0))
    book.ledger.close()
    assert len(book.store.records(task.id)) == 200
    stored = book.store.task(task.id)
    assert stored is not None
    assert stored.state is TaskState.DONE


def test_an_error_is_handed_on_and_ends_the_thread(book: Book) -> None:
    book.ledger.put(SaveTaskState(4711, TaskState.DONE, 1001.0))
    book.until(lambda: bool(book.errors))
    assert isinstance(book.errors[0], StorageError)
    started = monotonic()
    book.ledger.close()
    assert monotonic() - started < DEADLINE


def test_an_inventory_is_kept_from_the_callers_thread(book: Book) -> None:
    bridge = Bridge(HERE, 1, BridgeRole.VSWITCH, (), ManagementSocket("x.mgmt"))
    book.ledger.save_inventory(Topology((), (bridge,)))
    assert [kept.id for kept in book.store.vfds()] == [HERE]
