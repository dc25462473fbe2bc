"""Turns the lab under load into the paper's four settings, as ratios to a lab without VTrace, and into a chart.

No VTrace · controller, no task · ten tasks that match nothing · ten tasks that match all, 100 packets each. The
settings take turns in one run, round after round, back and forth, and *No VTrace* before and after each of them:
whatever else the machine does hits all of them. ``overhead.py ROUNDS``, or those that begin within twelve minutes;
``overhead.py --threads`` with datapath threads, as kernel, DPDK and AF_XDP have them.
"""

import os
import socket
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median

from chart import bars
from loaded_lab import (
    DESTINATION,
    ENDS,
    ON_THE_WAY,
    OTHER_CORE,
    OVERLOAD,
    PINGS,
    PORT,
    SOURCE,
    SOURCE_PORTS,
    SWITCH_CORE,
    Controller,
    Forwarded,
    LoadedLab,
    await_that,
)
from page import CONFIDENCE, PAGE, Section, interval, microseconds, milliseconds, publish

from vtrace_ovs.filters import trace_request
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.task import DEFAULT_TRACE_TIME, Task, TaskState
from vtrace_ovs.storage.store import Store

BUDGET = 720.0
LASTING_TURNS, TRACED_TURNS, WINDOW = 4, 2, 8.0
TASKS, PACKETS, TRACE_TIME = len(SOURCE_PORTS), 100, DEFAULT_TRACE_TIME
ADDRESSES = f"nw_src={ENDS[0]},nw_dst={ENDS[1]}"
UNUSED_PORTS = range(9000, 9000 + TASKS)
NONE, IDLE, ATTACHED = "No VTrace", "idle connections", "controller, no task"
ZERO, FULL = "ten tasks, zero match", "ten tasks, full match"
SETTINGS = {ATTACHED: 1.00, IDLE: None, ZERO: 0.99, FULL: 0.98}
"""Each with the bar for its rate."""
OPENFLOW_13_HELLO = bytes((4, 0, 0, 8, 0, 0, 0, 1))
MEASURES = ("forwarding rate", "CPU per packet", "RTT")
NOTES = """\
{rounds} rounds of the settings in turn, forth and back; each ratio is to the mean of *No VTrace* right before it \
and right after, under the same load, given as median, with the interval that holds it in {confidence:.0%} of runs on \
a machine as noisy as this.
UDP from {source} to {destination}, from ten ports in turn, over cs1, gw1 and cs3; counted at the receiving VM. For \
each setting and round about {overload:g} times what the path forwarded just before is sent: {arrived:.0%} of it \
arrived without VTrace (median), {most:.0%} at most. A setting that lasts comes and goes {turns} times a round, \
{window:g} s each time; full match {traced_turns} times, {traced_window:g} s. In between, for {window:g} s, the \
controller has hung up and is stopped (SIGSTOP). CPU is the processor time of all ovs-vswitchd of servers per packet \
forwarded. RTT is the median of {pings} pings without load, once a round.
Idle connections: no VTrace, but one OpenFlow connection to each VFD on the way, of a program that says hello and then \
nothing. {idle}
{forwards} on core {switches}, everything else (traffic, controller) on core {others}, as it would be on \
other machines; the sender shares a ring of frames with the kernel and costs next to nothing.
Full match: its window is the time a task has unless told otherwise, and begins when tasks are added, so arming, \
tracing, judging and cleaning are in it: {traced} of {asked} packets asked for were traced, at {cost}. \
Pings are traced too, by one of ten tasks.
The controller takes {idle_share:.1%} of its core without a task, and {zero_share:.1%} with ten that match nothing.
A bar is missed if the whole interval is below it, met if the median is not, and open otherwise. The rate is what one \
core shared with others forwards; CPU per packet is without what the others take of it."""
COST = """{each:.0f} µs of CPU each with all that goes with a trace (connections, too), on all servers, which is what \
forwarding {others_forwarded:.0f} takes"""
COST_UNTOLD = "a cost of CPU that these rounds cannot tell from none, with all that goes with a trace"


@dataclass(frozen=True, slots=True)
class Datapath:
    """Who forwards, and the section it is told in."""

    key: str
    title: str
    threads: bool
    forwards: str
    idle: str

    @property
    def chart(self) -> Path:
        """The image beside the page."""
        return PAGE.with_name(f"{self.key}.svg")


MAIN = Datapath(
    "overhead",
    "What tracing costs the traffic",
    threads=False,
    forwards="All ovs-vswitchd, whose main threads forward,",
    idle="Open vSwitch asks each for news every time it has forwarded up to 32 packets.",
)
THREADS = Datapath(
    "threads",
    "What tracing costs the traffic where datapath threads forward",
    threads=True,
    forwards="The datapath threads of the servers (AF_XDP ports) and the ovs-vswitchd of the underlay",
    idle="The main thread asks each for news, and forwards nothing.",
)


@dataclass(frozen=True, slots=True)
class Beside:
    """One setting, and *No VTrace* under the same load, right before and after it."""

    base: Forwarded
    found: Forwarded


@dataclass(frozen=True, slots=True)
class Turn:
    """What a setting had in one round; RTT in seconds, with it and without."""

    setting: str
    loads: tuple[Beside, ...]
    rtt: float
    base_rtt: float


def main() -> None:
    """A lab, rounds, a table, a chart."""
    if os.geteuid() != 0:
        raise SystemExit("the lab needs root")
    parser = ArgumentParser()
    parser.add_argument("rounds", type=int, nargs="?")
    parser.add_argument("--threads", action="store_true")
    asked = parser.parse_args()
    datapath = THREADS if asked.threads else MAIN
    overlay = replace(load_topology(), rate_limits=())
    with tempfile.TemporaryDirectory() as place, Lab(overlay, Path(place) / "lab") as lab:
        settings = Settings(LoadedLab(lab, Path(place), threads=datapath.threads))
        steps: list[Callable[[], Turn]] = [
            settings.no_task,
            lambda: settings.lasting(IDLE, settings.idle_connections),
            settings.zero_match,
            lambda: settings.full_match(FULL),
        ]
        turns: list[Turn] = []
        began = time.monotonic()
        for number in count() if asked.rounds is None else range(asked.rounds):
            if asked.rounds is None and time.monotonic() - began > BUDGET:
                break
            turns.extend(step() for step in (reversed(steps) if number % 2 else steps))
    series = {name: _series([turn for turn in turns if turn.setting == name]) for name in SETTINGS}
    medians = {name: [median(values) for values in columns] for name, columns in series.items()}
    datapath.chart.write_text(
        bars("What tracing costs, as ratios to no VTrace", list(MEASURES), {NONE: [1.0] * len(MEASURES), **medians}),
        encoding="utf-8",
    )
    publish(section(datapath, series, turns, settings))


class Settings:
    """The settings, on a loaded lab. ``traced`` counts the packets that were; ``shares`` a controller's of a core."""

    def __init__(self, loaded: LoadedLab) -> None:
        self.loaded = loaded
        self.traced = 0
        self.shares: dict[str, list[float]] = {ATTACHED: [], ZERO: []}

    def lasting(self, name: str, setting: Callable[[], AbstractContextManager[object]]) -> Turn:
        """A setting that lasts comes and goes while the load goes on; then the RTT with it, and without."""
        loads: list[Beside] = []
        self.loaded.fit()
        with self.loaded.load(self.loaded.offered):
            before = self.loaded.window(WINDOW)
            for _ in range(LASTING_TURNS):
                with setting():
                    found = self.loaded.window(WINDOW)
                after = self.loaded.window(WINDOW)
                loads.append(Beside(Forwarded.between(before, after), found))
                before = after
        with setting():
            rtt = self.loaded.ping()
        return Turn(name, tuple(loads), rtt, self.loaded.ping())

    def full_match(self, name: str) -> Turn:
        """Ten tasks, added to the load, again and again; then the RTT with such tasks, and without."""
        loads: list[Beside] = []
        self.loaded.fit()
        with self.loaded.load(self.loaded.offered):
            before = self.loaded.window(WINDOW)
            for _ in range(TRACED_TURNS):
                found = self._traced()
                after = self.loaded.window(WINDOW)
                loads.append(Beside(Forwarded.between(before, after), found))
                before = after
        with self.loaded.controller() as controller, controller.awake() as store:
            pinged = _armed(store, [f"icmp,{ADDRESSES}", *(_traffic(port) for port in UNUSED_PORTS[1:])])
            rtt = self.loaded.ping()
            _cancel(store, pinged)
        return Turn(name, tuple(loads), rtt, self.loaded.ping())

    def _traced(self) -> Forwarded:
        """What is forwarded in the window that begins when ten tasks are added."""
        with self.loaded.controller() as controller, controller.awake() as store:
            began = self.loaded.reading()
            tasks = [_add(store, _traffic(port)) for port in SOURCE_PORTS]
            time.sleep(TRACE_TIME)
            found = self.loaded.reading().since(began)
            await_that(lambda: all(_state(store, task).final for task in tasks))
            results = [store.result(task.id) for task in tasks]
        self.traced += sum(min(PACKETS, result.packets) for result in results if result is not None)
        return found

    @contextmanager
    def idle_connections(self) -> Iterator[None]:
        """What any controller would cost that never says a word."""
        with ExitStack() as ends:
            for server, bridge in ON_THE_WAY:
                end = ends.enter_context(socket.socket(socket.AF_UNIX))
                end.connect(str(self.loaded.lab.ovs(server).management_socket(bridge)))
                end.sendall(OPENFLOW_13_HELLO)
            yield

    def no_task(self) -> Turn:
        """A controller that has nothing to do."""
        with self.loaded.controller() as controller:
            return self.lasting(ATTACHED, lambda: self._at_work(ATTACHED, controller, ()))

    def zero_match(self) -> Turn:
        """Ten tasks that wait for what is not sent."""
        with self.loaded.controller() as controller:
            return self.lasting(ZERO, lambda: self._at_work(ZERO, controller, UNUSED_PORTS))

    @contextmanager
    def _at_work(self, name: str, controller: Controller, source_ports: Sequence[int]) -> Iterator[None]:
        """A controller with a task for each port, when it has done what it had to."""
        with controller.awake() as store:
            tasks = _armed(store, [_traffic(port) for port in source_ports])
            controller.rest()
            began, spent = time.monotonic(), controller.spent
            yield
            self.shares[name].append((controller.spent - spent) / (time.monotonic() - began))
            _cancel(store, tasks)


def _armed(store: Store, filters: Sequence[str]) -> list[Task]:
    """Add a task for each, and wait until all are armed."""
    tasks = [_add(store, text) for text in filters]
    await_that(lambda: all(_state(store, task) is TaskState.ARMED for task in tasks))
    return tasks


def _cancel(store: Store, tasks: Sequence[Task]) -> None:
    """End them, and wait until nothing of theirs is left."""
    for task in tasks:
        store.request_cancel(task.id)
    await_that(lambda: all(_state(store, task).final for task in tasks))


def _add(store: Store, text: str) -> Task:
    """One task."""
    request = trace_request(
        text, packet_count=PACKETS, trace_time=TRACE_TIME, vni=None, source_vm=SOURCE, destination_vm=None
    )
    return store.add_task(request, time.time())


def _traffic(source_port: int) -> str:
    """The filter of what is sent from this port."""
    return f"udp,{ADDRESSES},tp_src={source_port},tp_dst={PORT}"


def _state(store: Store, task: Task) -> TaskState:
    found = store.task(task.id)
    return task.state if found is None else found.state


def _series(turns: Sequence[Turn]) -> list[list[float]]:
    """Of one setting, all ratios of each measure."""
    loads = [one.found.over(one.base) for turn in turns for one in turn.loads]
    rtts = [turn.rtt / turn.base_rtt for turn in turns]
    return [[load.rate for load in loads], [load.processor for load in loads], rtts]


def section(
    datapath: Datapath, series: dict[str, list[list[float]]], turns: Sequence[Turn], settings: Settings
) -> Section:
    """The table: ratios by setting."""
    rows = [(NONE, *("1" for _ in MEASURES), "")]
    for setting, columns in series.items():
        bar = SETTINGS[setting]
        rows.append((setting, *map(_cell, columns), "" if bar is None else f"{bar:.2f} ({_judged(columns[0], bar)})"))
    rates, processor, rtts = series[FULL]
    bases = [one.base for turn in turns for one in turn.loads]
    rate, each = median(base.rate for base in bases), median(base.processor for base in bases)
    others_forwarded = (median(processor) - 1) * rate * TRACE_TIME * len(rates) / max(settings.traced, 1)
    told = interval(processor)[0] > 1
    cost = COST.format(each=others_forwarded * each * 1e6, others_forwarded=others_forwarded) if told else COST_UNTOLD
    given = {
        "rounds": len(rtts),
        "confidence": CONFIDENCE,
        "source": SOURCE,
        "destination": DESTINATION,
        "overload": OVERLOAD,
        "arrived": median(base.arrived for base in bases),
        "most": max(max(load.base.arrived, load.found.arrived) for turn in turns for load in turn.loads),
        "turns": LASTING_TURNS,
        "window": WINDOW,
        "traced_turns": TRACED_TURNS,
        "traced_window": TRACE_TIME,
        "pings": PINGS,
        "idle": datapath.idle,
        "forwards": datapath.forwards,
        "switches": SWITCH_CORE if settings.loaded.cores else "any",
        "others": OTHER_CORE if settings.loaded.cores else "any",
        "traced": settings.traced,
        "idle_share": median(settings.shares[ATTACHED]),
        "zero_share": median(settings.shares[ZERO]),
        "asked": len(rates) * TASKS * PACKETS,
        "cost": cost,
    }
    absolute = (
        f"{NONE} itself: {rate:,.0f} packets/s, {microseconds(each)} of CPU per packet, "
        f"RTT {milliseconds(median(turn.base_rtt for turn in turns))}."
    )
    notes = [*NOTES.format(**given).splitlines(), absolute]
    header = ("setting", *MEASURES, "bar for the rate")
    return Section(datapath.key, datapath.title, header, rows, notes, chart=datapath.chart.name)


def _cell(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{median(values):.3f} ({low:.3f} to {high:.3f})"


def _judged(values: Sequence[float], bar: float) -> str:
    if median(values) >= bar:
        return "met"
    return "open" if interval(values)[1] >= bar else "**missed**"


if __name__ == "__main__":
    main()
