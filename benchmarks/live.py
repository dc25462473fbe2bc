"""Turns tasks on the real lab into times: from added to armed, and from the deciding packet-in to the stored verdict.

One controller runs in a process of its own, as ``vtrace controller`` does, with stopwatches around three calls; this
process adds tasks to its database, as ``vtrace add`` does, while a VM sends. Needs root and Mininet.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import Section, milliseconds, publish, quantile, verdict

from vtrace_ovs.filters import trace_request
from vtrace_ovs.lab.client import LabClient
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.storage.store import Store

WARM_UP, REPETITIONS = 3, 20
BAR = 0.050
DEADLINE = 30.0
SOURCE, DESTINATION, PORT, RATE = "blue-web1", "blue-db2", 443, 50.0
FILTER = f"tcp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst={PORT}"
CASES = ((None, Disposition.DELIVERED), ("security-deny", Disposition.DROPPED))
NOTES = """\
Six VFDs: br-int on cs1, cs2, cs3 and gw1, vr-blue, vr-red. {repetitions} tasks per verdict, of one packet each, one \
after another, after {warm_up} to warm up; TCP from {source} to {destination}, {rate:g} connections a second.
Armed: every flow on every bridge confirmed by a barrier and followed by the datapath (two rounds of revalidators, \
twice, which Open vSwitch begins 5 ms apart at the soonest), after reading all tables anew and writing the intents to \
the database. The bar is for barriers: “as far as barriers” leaves out the time in which nothing but datapaths was \
waited for. “Added” is the task row's `created_at`, \
“taken” when the controller has read it; processor time is that of the whole controller from taken to armed, all \
threads, and does not count what else the machine does.
Verdict: from reading the packet-in that decides off its socket to the commit of the result row in SQLite.
{others}
VTrace (SIGCOMM 2020) arms in 600 to 700 ms and buffers its logs for 12 s and 24 s; it is not public, so it is no \
comparator in the same run."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One task's times, in seconds."""

    added_to_armed: float
    taken_to_armed: float
    armed_processor: float
    datapaths: float
    deciding_to_stored: float


def main() -> None:
    """A lab, a controller, tasks, a table."""
    if os.geteuid() != 0:
        raise SystemExit("the lab needs root")
    with (
        tempfile.TemporaryDirectory() as place,
        lab(Path(place)) as client,
        controller(Path(place), client, __file__) as watch,
    ):
        measured = {expected: list(_case(client, watch, fault, expected)) for fault, expected in CASES}
    publish(_section(measured))


@contextmanager
def lab(place: Path) -> Iterator[LabClient]:
    """A lab of its own."""
    client = LabClient(place / "lab")
    client.up()
    try:
        yield client
    finally:
        client.down()


@contextmanager
def controller(place: Path, client: LabClient, program: str) -> Iterator[Path]:
    """A controller in a process of its own, which is ``program``; where it writes what it measures."""
    watch = place / "stopwatch"
    environment = {
        **os.environ,
        "VTRACE_OVSDB": ",".join(client.status().ovsdb_remotes),
        "VTRACE_DATABASE": str(place / "vtrace.db"),
        "VTRACE_RUNDIR": str(place / "run"),
        "VTRACE_LISTEN": "",
    }
    with subprocess.Popen([sys.executable, program, str(watch)], env=environment) as process:
        try:
            _await((place / "run" / "controller.lock").exists, process)
            yield watch
        finally:
            process.terminate()
            process.wait(DEADLINE)


@contextmanager
def traffic(client: LabClient, fault: str | None) -> Iterator[None]:
    """What is traced, over a lab that is broken in this way."""
    if fault is not None:
        client.fault(fault, vm=DESTINATION, port=PORT)
    number = client.start_traffic(TrafficRequest(SOURCE, DESTINATION, TrafficProtocol.TCP, PORT, RATE, 0))
    try:
        yield
    finally:
        client.stop_traffic(number)
        if fault is not None:
            client.heal(fault)


def _case(client: LabClient, watch: Path, fault: str | None, expected: Disposition) -> Iterator[Timed]:
    with traffic(client, fault), Store.open(watch.parent / "vtrace.db") as store:
        for number in range(WARM_UP + REPETITIONS):
            task = traced(store, 1)
            result = store.result(task.id)
            if result is None or result.verdict.disposition is not expected:
                print(
                    f"task {task.id}: {task.state.value} {task.reason or ''}: {result and result.verdict}", flush=True
                )
            elif number >= WARM_UP:
                yield _timed(task, watch)


def request(packets: int) -> TraceRequest:
    """A trace of so many packets."""
    return trace_request(FILTER, packet_count=packets, trace_time=10, vni=None, source_vm=SOURCE, destination_vm=None)


def traced(store: Store, packets: int) -> Task:
    """One task, from added to its end."""
    task = store.add_task(request(packets), time.time())

    def ended() -> bool:
        found = store.task(task.id)
        return found is not None and found.state.final

    _await(ended, interval=0.05)  # asking costs processor time that the controller's is measured beside
    return store.task(task.id) or task


def _timed(task: Task, watch: Path) -> Timed:
    if task.armed_at is None or task.state is not TaskState.DONE:
        raise SystemExit(f"task {task.id} is {task.state.value}: {task.reason}")
    noted = [json.loads(line) for line in watch.read_text(encoding="ascii").splitlines()]
    mine = [note for note in noted if note["task"] == task.id]
    taken = next(note for note in mine if note["what"] == "taken")
    armed = next(note for note in mine if note["what"] == "armed")
    decided = next(note for note in mine if note["what"] == "stored" and note["decided_at"] is not None)
    return Timed(
        task.armed_at - task.created_at,
        task.armed_at - taken["at"],
        armed["processor"] - taken["processor"],
        _waited([note for note in noted if taken["at"] <= note["at"] <= armed["at"]]),
        decided["at"] - decided["decided_at"],
    )


def _waited(noted: list[dict[str, Any]]) -> float:
    """How long, in all phases, every bridge had confirmed by a barrier and only datapaths were waited for."""
    total, begun, under_way = 0.0, 0.0, 0
    for note in noted:
        if note["what"] == "confirmed":
            begun, under_way = note["at"], under_way + 1
        elif note["what"] == "followed":
            under_way -= 1
            total += 0.0 if under_way else note["at"] - begun
    return total


def _section(measured: Mapping[Disposition, list[Timed]]) -> Section:
    missing = len(CASES) * REPETITIONS - sum(map(len, measured.values()))
    others = f"{missing} of {len(CASES) * REPETITIONS} tasks ended with another verdict than the right one."
    every = [timed for found in measured.values() for timed in found]
    rows = [
        _row("armed, from added", [timed.added_to_armed for timed in every], BAR),
        _row("armed, from taken", [timed.taken_to_armed for timed in every], BAR),
        _row("armed, from added, as far as barriers", [timed.added_to_armed - timed.datapaths for timed in every], BAR),
        (*_row("armed, processor time", [timed.armed_processor for timed in every], BAR)[:-1], ""),
        *(
            _row(f"verdict stored: {disposition.value}", [timed.deciding_to_stored for timed in found], BAR)
            for disposition, found in measured.items()
        ),
    ]
    given = {
        "repetitions": REPETITIONS,
        "warm_up": WARM_UP,
        "source": SOURCE,
        "destination": DESTINATION,
        "rate": RATE,
        "others": others,
    }
    notes = NOTES.format(**given).splitlines()
    return Section(
        "live", "Arming and deciding on the lab", ("what", "tasks", "median", "p99", "bar 50 ms"), rows, notes
    )


def _row(what: str, seconds: list[float], bar: float) -> tuple[str, ...]:
    median = quantile(seconds, 0.5)
    return (what, str(len(seconds)), milliseconds(median), milliseconds(quantile(seconds, 0.99)), verdict(median, bar))


def _await(condition: Callable[[], bool], alive: subprocess.Popen[bytes] | None = None, interval: float = 0.01) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline or (alive is not None and alive.poll() is not None):
            raise SystemExit("the controller did not do what it was asked to")
        time.sleep(interval)


def control(watch: Path) -> None:
    """Be ``vtrace controller``, with stopwatches around the session's events and the store's results."""
    from vtrace_ovs.cli.running import run_controller  # noqa: PLC0415 - the measuring process does without Ryu
    from vtrace_ovs.cli.settings import read_settings  # noqa: PLC0415 - as above
    from vtrace_ovs.controller.settling import Settler  # noqa: PLC0415 - as above
    from vtrace_ovs.session.commands import Command, SaveResult, SaveTaskState  # noqa: PLC0415 - as above
    from vtrace_ovs.session.events import Event, PacketInReceived, TaskClaimed  # noqa: PLC0415 - as above
    from vtrace_ovs.session.machine import Session  # noqa: PLC0415 - as above

    handle, save_result, settle = Session.handle, Store.save_result, Settler.settle
    decided: dict[int, float | None] = {}
    with watch.open("w", encoding="ascii", buffering=1) as notes:

        def note(what: str, task_id: int, at: float, **more: Any) -> None:  # noqa: ANN401 - whatever JSON takes
            more["processor"] = time.process_time()
            notes.write(json.dumps({"what": what, "task": task_id, "at": at, **more}) + "\n")

        def watched_handle(self: Session, event: Event, **how: Any) -> tuple[Command, ...]:  # noqa: ANN401 - as it is declared
            commands = handle(self, event, **how)
            if isinstance(event, TaskClaimed):
                note("taken", event.task.id, event.at)
            for command in commands:
                if isinstance(command, SaveTaskState) and command.state is TaskState.ARMED:
                    note("armed", command.task_id, command.at)
                elif isinstance(command, SaveResult):
                    decided[id(command.result)] = event.at if isinstance(event, PacketInReceived) else None
            return commands

        def watched_save(self: Store, task_id: int, result: Any) -> None:  # noqa: ANN401 - as the store declares it
            save_result(self, task_id, result)
            note("stored", task_id, time.time(), decided_at=decided.pop(id(result), None))

        def watched_settle(self: Settler, bridge: Any, touch: Any, done: Callable[[], None]) -> None:  # noqa: ANN401 - as it is declared
            def followed() -> None:
                note("followed", 0, time.time())
                done()

            note("confirmed", 0, time.time())
            settle(self, bridge, touch, followed)

        Settler.settle = watched_settle  # type: ignore[method-assign]
        Session.handle = watched_handle  # type: ignore[method-assign]
        Store.save_result = watched_save  # type: ignore[method-assign]
        settings = read_settings()
        run_controller(settings, settings.ovsdb, (), None)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        control(Path(sys.argv[1]))
    else:
        main()
