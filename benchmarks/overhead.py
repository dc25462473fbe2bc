"""Turns the lab under load into the paper's four settings, as ratios to a lab without VTrace, and into a chart.

No VTrace · controller, no task · ten tasks that match nothing · ten tasks that match all, 100 packets each. The
settings take turns in one run, round after round, back and forth, and *No VTrace* before and after each of them:
whatever else the machine does hits all of them. ``overhead.py ROUNDS``, or as many as fit into twelve minutes.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "emulation"))

from chart import bars
from flooding import blasting, received  # found by the line before
from page import CONFIDENCE, PAGE, Section, interval, microseconds, milliseconds, publish
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet, Raw

from vtrace_ovs.filters import trace_request
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.wiring import VM_INTERFACE
from vtrace_ovs.model.task import DEFAULT_TRACE_TIME, Task, TaskState
from vtrace_ovs.storage.store import Store

ROUNDS = 24
BUDGET = 720.0
WARM_UP, WINDOW, TRACED_WINDOW = 0.3, 3.0, 10.0
PINGS, PING_INTERVAL = 60, 0.01
TASKS, PACKETS, TRACE_TIME = 10, 100, DEFAULT_TRACE_TIME
LOWEST, FORWARDED, OVERLOAD = 15_000.0, 0.95, 1.2
DEADLINE = 120.0
SOURCE, DESTINATION = "blue-web1", "blue-db2"
ENDS = ("10.0.1.11", "10.0.2.22")
ADDRESSES = f"nw_src={ENDS[0]},nw_dst={ENDS[1]}"
PORT, PAYLOAD = 5000, 64
SOURCE_PORTS, UNUSED_PORTS = range(4000, 4000 + TASKS), range(9000, 9000 + TASKS)
SWITCH_CORE, OTHER_CORE = 0, 1
CPUCLOCK_SCHED = 2
NONE, IDLE, ATTACHED = "No VTrace", "idle connections", "controller, no task"
ZERO, FULL, WHOLE = "ten tasks, zero match", "ten tasks, full match", "the same, over the time a task has"
SETTINGS = {ATTACHED: 1.00, IDLE: None, ZERO: 0.99, FULL: 0.98, WHOLE: None}
"""Each with the bar for its rate."""
ON_THE_WAY = (("cs1", "br-int"), ("gw1", "br-int"), ("gw1", "vr-blue"), ("cs3", "br-int"))
OPENFLOW_13_HELLO = bytes((4, 0, 0, 8, 0, 0, 0, 1))
MEASURES = {"rate": "forwarding rate", "processor": "CPU per packet", "rtt": "RTT"}
CHART = PAGE.with_name("overhead.svg")
NOTES = """\
{rounds} rounds of the settings in turn, forth and back; each ratio is to the mean of *No VTrace* right before it \
and right after, under the same load, given as median, with the interval that holds it in {confidence:.0%} of runs on \
a machine as noisy as this.
UDP from {source} to {destination}, from ten ports in turn, {overload:g} times what the path forwards at \
most, over cs1, gw1 and cs3; counted at the receiving VM, {window:g} s each, but {traced_window:g} s of full match. \
CPU is the processor time of all ovs-vswitchd of servers per packet forwarded. RTT is the median of {pings} pings \
without load.
Idle connections: no VTrace, but one OpenFlow connection to each VFD on the way, of a program that says hello and then \
nothing. Open vSwitch asks each for news every time it has forwarded up to 32 packets.
ovs-vswitchd on core {switches}, everything else (traffic, controller) on core {others}, as it would be on \
other machines; the sender shares a ring of frames with the kernel and costs next to nothing.
Full match: its window is a third of the time a task has unless told otherwise, and begins when tasks are added, so \
arming, tracing, judging and cleaning are in it: {traced} of {asked} packets asked for were traced, at {each:.0f} µs \
of CPU each, on all servers. The last line is of the same runs over all that time, {trace_time} s. Pings are traced \
too, by one of ten tasks.
A bar is missed if the whole interval is below it, met if the median is not, and open otherwise. The rate is what one \
core shared with others forwards; CPU per packet is without what the others take of it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One setting in one round: packets/s, processor seconds per packet, seconds."""

    rate: float
    processor: float
    rtt: float

    def over(self, base: "Measured") -> "Measured":
        """Each as a ratio to what another one has."""
        return Measured(*(getattr(self, what) / getattr(base, what) for what in MEASURES))


@dataclass(frozen=True, slots=True)
class Reading:
    """At a moment (seconds): packets received so far, and processor seconds spent."""

    at: float
    packets: int
    spent: float

    def since(self, began: "Reading") -> tuple[float, float]:
        """Packets per second, and processor seconds per packet, from then on."""
        got = self.packets - began.packets
        return got / (self.at - began.at), (self.spent - began.spent) / max(got, 1)


@dataclass(frozen=True, slots=True)
class Beside:
    """One setting, and *No VTrace* under the same load, right before and after it."""

    base: Measured
    found: Measured


def main() -> None:
    """A lab, rounds, a table, a chart."""
    if os.geteuid() != 0:
        raise SystemExit("the lab needs root")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    overlay = replace(load_topology(), rate_limits=())
    with tempfile.TemporaryDirectory() as place, Lab(overlay, Path(place) / "lab") as lab:
        bench = Bench(lab, Path(place))
        steps: list[Callable[[], dict[str, Beside]]] = [
            lambda: bench.steady(ATTACHED, bench.controller),
            lambda: bench.steady(IDLE, bench.idle_connections),
            lambda: bench.steady(ZERO, bench.zero_match),
            bench.full_match,
        ]
        done: list[tuple[str, Beside]] = []
        began = time.monotonic()
        for number in range(rounds):
            if number and time.monotonic() - began > BUDGET:
                break
            for step in reversed(steps) if number % 2 else steps:
                done.extend(step().items())
    found = [(setting, beside.found.over(beside.base)) for setting, beside in done]
    series = {
        setting: [[getattr(one, what) for of, one in found if of == setting] for what in MEASURES]
        for setting in SETTINGS
    }
    charted = {name: columns for name, columns in series.items() if name != WHOLE}
    medians = {name: [median(values) for values in columns] for name, columns in charted.items()}
    words = list(MEASURES.values())
    CHART.write_text(
        bars("What tracing costs, as ratios to no VTrace", words, {NONE: [1.0] * len(words), **medians}),
        encoding="utf-8",
    )
    publish(section(series, [beside.base for _, beside in done], bench))


class Bench:
    """A lab, what is sent over it, and a controller when a setting wants one."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self.lab = lab
        self.place = place
        self.pids = [server.ovs.pids["ovs-vswitchd"] for server in lab.servers.values()]
        switches = [switch.ovs.pids["ovs-vswitchd"] for switch in lab.switches.values()]
        self.cores = (os.cpu_count() or 1) > OTHER_CORE
        for pid in (*self.pids, *switches):
            for thread in Path(f"/proc/{pid}/task").iterdir() if self.cores else ():
                os.sched_setaffinity(int(thread.name), {SWITCH_CORE})
        if self.cores:
            os.sched_setaffinity(0, {OTHER_CORE})  # our children's too
        self.traced = self.runs = 0
        self.ping()
        self.offered = OVERLOAD * self.capacity()

    def capacity(self) -> float:
        """The most the path forwards, in packets per second: of much more it would forward less, and drop late."""
        rate, most = LOWEST, 0.0
        while True:
            with self.load(rate):
                got = self.window()[0]
            if got < FORWARDED * rate:
                return max(most, got)
            rate, most = rate * OVERLOAD, got

    def steady(self, name: str, setting: Callable[[], AbstractContextManager[object]]) -> dict[str, Beside]:
        """A setting that lasts while the load goes on: the rate and processor time of both, then the RTT of both."""
        with self.load(self.offered):
            before = self.window()
            with setting():
                found = self.window()
            after = self.window()
        with setting():
            rtt = self.ping()
        return {name: Beside(self.base(before, after), Measured(*found, rtt))}

    def full_match(self) -> dict[str, Beside]:
        """Ten tasks, added to the load: what they miss of it in the window they get, and in the time one has."""
        with self.load(self.offered):
            before = self.window()
            with self.controller() as store:
                began = self.reading()
                tasks = [self.add(store, _traffic(port)) for port in SOURCE_PORTS]
                time.sleep(TRACED_WINDOW)
                found = self.reading()
                time.sleep(TRACE_TIME - TRACED_WINDOW)
                whole = self.reading()
                self.await_that(lambda: all(_state(store, task).final for task in tasks))
                results = [store.result(task.id) for task in tasks]
            after = self.window()
        self.traced += sum(min(PACKETS, result.packets) for result in results if result is not None)
        with self.controller() as store:
            pinged = self.armed(store, [f"icmp,{ADDRESSES}", *(_traffic(port) for port in UNUSED_PORTS[1:])])
            rtt = self.ping()
            self.cancel(store, pinged)
        base, windows = self.base(before, after), {FULL: found, WHOLE: whole}
        return {name: Beside(base, Measured(*end.since(began), rtt)) for name, end in windows.items()}

    def base(self, before: tuple[float, float], after: tuple[float, float]) -> Measured:
        """What would have been measured without VTrace between the two."""
        rate, processor = (mean(both) for both in zip(before, after, strict=True))
        return Measured(rate, processor, self.ping())

    @contextmanager
    def idle_connections(self) -> Iterator[None]:
        """What any controller would cost that never says a word."""
        with ExitStack() as ends:
            for server, bridge in ON_THE_WAY:
                end = ends.enter_context(socket.socket(socket.AF_UNIX))
                end.connect(str(self.lab.ovs(server).management_socket(bridge)))
                end.sendall(OPENFLOW_13_HELLO)
            yield

    @contextmanager
    def zero_match(self) -> Iterator[None]:
        """Ten tasks that wait for what is not sent."""
        with self.controller() as store:
            tasks = self.armed(store, [_traffic(port) for port in UNUSED_PORTS])
            yield
            self.cancel(store, tasks)

    def window(self) -> tuple[float, float]:
        """Packets received per second, and processor seconds per packet, when what is new has settled."""
        time.sleep(WARM_UP)
        began = self.reading()
        time.sleep(WINDOW)
        return self.reading().since(began)

    def reading(self) -> "Reading":
        """What the destination's interface has received, and what that took."""
        return Reading(time.monotonic(), received(self.lab.vm(DESTINATION), VM_INTERFACE), self.processor())

    def processor(self) -> float:
        """Processor seconds of the servers' ovs-vswitchd so far (clock_getcpuclockid(3))."""
        return sum(time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) for pid in self.pids)

    def ping(self) -> float:
        """The median RTT, in seconds."""
        words = ("ping", "-n", "-c", str(PINGS), "-i", str(PING_INTERVAL), ENDS[1])
        text = self.lab.vm(SOURCE).run(*words)
        return median(float(found) for found in re.findall(r"time=([0-9.]+) ms", text)) / 1e3

    @contextmanager
    def load(self, rate: float) -> Iterator[None]:
        """So many packets a second, to a VM that takes them and never answers."""
        sink = (
            "import socket, sys\n"
            "end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "end.bind(('', int(sys.argv[1])))\n"
            "print('ready', flush=True)\nsys.stdin.read()\n"
        )
        receiver = self.program(DESTINATION, "-c", sink, str(PORT))
        if receiver.stdout is None or receiver.stdout.readline() != "ready\n":
            raise SystemExit(f"nobody takes packets in {DESTINATION}")
        try:
            with blasting(self.lab, SOURCE, rate, map(_packet, SOURCE_PORTS), numbered=True):
                yield
        finally:
            receiver.communicate(timeout=DEADLINE)

    def program(self, vm: str, *arguments: str) -> subprocess.Popen[str]:
        """Python in a VM."""
        words = [*self.lab.vm(vm).prefix, sys.executable, *arguments]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def controller(self) -> Iterator[Store]:
        """``vtrace controller``, which is connected to no bridge before its first task; its database."""
        self.runs += 1
        place = self.place / str(self.runs)
        place.mkdir()
        environment = {
            **os.environ,
            "VTRACE_OVSDB": ",".join(self.lab.state().ovsdb_remotes),
            "VTRACE_DATABASE": str(place / "vtrace.db"),
            "VTRACE_RUNDIR": str(place / "run"),
            "VTRACE_LISTEN": "",
        }
        words = [sys.executable, "-m", "vtrace_ovs", "controller"]
        with subprocess.Popen(words, env=environment) as process:
            try:
                self.await_that((place / "run" / "controller.lock").exists)
                with Store.open(str(place / "vtrace.db")) as store:
                    yield store
            finally:
                process.terminate()
                process.wait(DEADLINE)

    def armed(self, store: Store, filters: Sequence[str]) -> list[Task]:
        """Add a task for each, and wait until all are armed."""
        tasks = [self.add(store, text) for text in filters]
        self.await_that(lambda: all(_state(store, task) is TaskState.ARMED for task in tasks))
        return tasks

    def cancel(self, store: Store, tasks: Sequence[Task]) -> None:
        """End them, and wait until nothing of theirs is left."""
        for task in tasks:
            store.request_cancel(task.id)
        self.await_that(lambda: all(_state(store, task).final for task in tasks))

    @staticmethod
    def add(store: Store, text: str) -> Task:
        """One task."""
        request = trace_request(
            text, packet_count=PACKETS, trace_time=TRACE_TIME, vni=None, source_vm=SOURCE, destination_vm=None
        )
        return store.add_task(request, time.time())

    @staticmethod
    def await_that(condition: Callable[[], bool]) -> None:
        """Look until it is so."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit("the controller did not do what it was asked to")
            time.sleep(0.01)


def _traffic(source_port: int) -> str:
    """The filter of what is sent from this port."""
    return f"udp,{ADDRESSES},tp_src={source_port},tp_dst={PORT}"


def _packet(source_port: int) -> Packet:
    """One of them, with room for its number; without a UDP checksum, which IPv4 allows (RFC 768)."""
    start = IP(src=ENDS[0], dst=ENDS[1], id=0, flags="DF")
    return start / UDP(sport=source_port, dport=PORT, chksum=0) / Raw(b"x" * PAYLOAD)


def _state(store: Store, task: Task) -> TaskState:
    found = store.task(task.id)
    return task.state if found is None else found.state


def section(series: dict[str, list[list[float]]], bases: list[Measured], bench: Bench) -> Section:
    """The table: ratios by setting."""
    rows = [(NONE, *("1" for _ in MEASURES), "")]
    for setting, columns in series.items():
        bar = SETTINGS[setting]
        rows.append((setting, *map(_cell, columns), "" if bar is None else f"{bar:.2f} ({_judged(columns[0], bar)})"))
    rounds, costs = len(series[FULL][0]), list(MEASURES).index("processor")
    spent = median(series[FULL][costs]) - 1
    base = Measured(*(median(getattr(one, what) for one in bases) for what in MEASURES))
    given = {
        "rounds": rounds,
        "confidence": CONFIDENCE,
        "source": SOURCE,
        "destination": DESTINATION,
        "overload": OVERLOAD,
        "window": WINDOW,
        "traced_window": TRACED_WINDOW,
        "trace_time": TRACE_TIME,
        "pings": PINGS,
        "switches": SWITCH_CORE if bench.cores else "any",
        "others": OTHER_CORE if bench.cores else "any",
        "traced": bench.traced,
        "asked": rounds * TASKS * PACKETS,
        "each": spent * base.processor * base.rate * TRACED_WINDOW / (TASKS * PACKETS) * 1e6,
    }
    absolute = (
        f"{NONE} itself: {base.rate:,.0f} packets/s, {microseconds(base.processor)} of CPU per packet, "
        f"RTT {milliseconds(base.rtt)}."
    )
    notes = [*NOTES.format(**given).splitlines(), absolute]
    header = ("setting", *MEASURES.values(), "bar for the rate")
    return Section("overhead", "What tracing costs the traffic", header, rows, notes, chart=CHART.name)


def _cell(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{median(values):.3f} ({low:.3f} to {high:.3f})"


def _judged(values: Sequence[float], bar: float) -> str:
    if median(values) >= bar:
        return "met"
    return "open" if interval(values)[1] >= bar else "**missed**"


if __name__ == "__main__":
    main()
