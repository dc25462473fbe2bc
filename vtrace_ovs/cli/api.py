"""Turns two calls of the paper, ``addVTrace`` and ``getVTraceResult``, into rows of the task database (design D9)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.diagnosis.exchange import exchange
from vtrace_ovs.errors import StorageError, UsageError
from vtrace_ovs.filters import parse, reply_request, require_two_ways, trace_request
from vtrace_ovs.model.task import DEFAULT_PACKET_COUNT, DEFAULT_TRACE_TIME, Task
from vtrace_ovs.model.verdict import Exchange, TaskResult

if TYPE_CHECKING:
    from vtrace_ovs.storage.store import Store


def add_vtrace(  # noqa: PLR0913 - one argument per thing a caller can say, all but the filter optional
    filter: str,  # noqa: A002 - the paper's name for it
    packet_count: int = DEFAULT_PACKET_COUNT,
    trace_time: int = DEFAULT_TRACE_TIME,
    *,
    vni: int | None = None,
    source_vm: str | None = None,
    destination_vm: str | None = None,
    wide: bool = False,
    both: bool = False,
    database: str | None = None,
) -> int:
    """Ask for a trace; the controller that watches the database takes it. Returns the task's number.

    ``trace_time`` is in seconds; ``wide`` allows a filter that names no source, although other traffic's megaflows
    multiply; ``both`` traces the replies too, in a task of their own (``get_vtrace_exchange``);
    ``database`` is a path or SQLAlchemy URL (default: as the command line). Raises UsageError for a request that cannot
    be right and StorageError for a database that cannot be used.
    """
    request = trace_request(
        filter,
        packet_count=packet_count,
        trace_time=trace_time,
        vni=vni,
        source_vm=source_vm,
        destination_vm=destination_vm,
        wide=wide,
    )
    if both:
        require_two_ways(request.filter)
    with open_store(database) as store:
        if both:
            return store.add_exchange(request, reply_request, time.time())[0].id
        return store.add_task(request, time.time()).id


def get_vtrace_result(task_or_filter: int | str, *, database: str | None = None) -> TaskResult | None:
    """What a task found out, None while it has no result.

    A number names a task, a filter the newest task with this filter. Raises UsageError when there is no such task.
    """
    with open_store(database) as store:
        return store.result(find_task(store, str(task_or_filter)).id)


def get_vtrace_exchange(task_or_filter: int | str, *, database: str | None = None) -> Exchange | None:
    """What a task and the one for its replies found out, with the verdict on both; None while it has no result.

    Raises UsageError when there is no such task, or its replies are not traced.
    """
    with open_store(database) as store:
        task = find_task(store, str(task_or_filter))
        reply = store.answering(task.id)
        if reply is None:
            raise UsageError(f"the replies to task {task.id} are not traced: vtrace add --both traces them")
        found = store.result(task.id)
        return None if found is None else exchange(found, store.result(reply.id))


@contextmanager
def open_store(database: str | None = None) -> Iterator["Store"]:
    """The task database of the settings, or another one; it is made on first use, and closed at the end."""
    from vtrace_ovs.storage.store import Store  # noqa: PLC0415 - SQLAlchemy is slow to import, and --help must be quick

    place = read_settings().database if database is None else database
    _make_directory(place)
    with Store.open(place) as store:
        yield store


def find_task(store: "Store", reference: str | None) -> Task:
    """The task a number or filter means. Raises UsageError when there is none.

    None means the newest one; of a request and its replies, made together, the request.
    """
    if reference is None:
        newest = next(iter(store.tasks(limit=1)), None)
        if newest is None:
            raise UsageError("there is no task yet: vtrace add FILTER makes one")
        request = newest.request.answers
        return newest if request is None else store.task(request) or newest
    wanted = reference.strip()
    task = store.task(int(wanted)) if wanted.isdecimal() else store.latest_task_for(parse(wanted).text)
    if task is None:
        raise UsageError(f"there is no task {wanted}: vtrace list shows those there are")
    return task


def _make_directory(place: str) -> None:
    """Make the directory of a database file, readable by its owner only: captured headers are the tenants'."""
    if "://" in place:
        return
    try:
        Path(place).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"database {place} cannot be created: {reason}: set VTRACE_DATABASE to another place"
        ) from None
