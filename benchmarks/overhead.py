"""Turns the lab under load into the paper's four settings, as ratios to a lab without VTrace, and into a chart.

No VTrace · attached, no task · ten tasks that match nothing · ten tasks that match all, 100 packets each. The settings
take turns in one run, round after round: whatever else the machine does hits all of them. ``overhead.py ROUNDS``.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from chart import bars
from page import PAGE, Section, microseconds, milliseconds, publish, verdict

from vtrace_ovs.filters import trace_request
from vtrace_ovs.lab.network import VM_INTERFACE, Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.storage.store import Store

ROUNDS = 8
WARM_UP, WINDOW = 0.5, 2.0
PINGS, PING_INTERVAL = 100, 0.01
TASKS, PACKETS = 10, 100
OVERLOAD = 1.2
LIGHT = 1000.0
DEADLINE = 120.0
SOURCE, DESTINATION = "blue-web1", "blue-db2"
ADDRESSES = "nw_src=10.0.1.11,nw_dst=10.0.2.22"
PORT = 5000
SOURCE_PORTS, UNUSED_PORTS = range(4000, 4000 + TASKS), range(9000, 9000 + TASKS)
SWITCH_CORE, OTHER_CORE = 0, 1
CPUCLOCK_SCHED = 2
SETTINGS = ("No VTrace", "attached, no task", "ten tasks, zero match", "ten tasks, full match")
MEASURES = ("forwarding rate", "CPU per packet", "RTT")
BARS = (None, 1.00, 0.99, 0.98)
CHART = PAGE.with_name("overhead.svg")
NOTES = """\
{rounds} rounds of the four settings in turn; each ratio is to *No VTrace* of the same round, given as median (lowest \
to highest).
UDP from {source} to {destination}, from ten ports in turn, {overload:g} times what the path forwards at \
most, over cs1, gw1 and cs3; counted at the receiving VM, {window:g} s each. CPU is the processor time of all \
ovs-vswitchd of servers per packet forwarded. RTT is the median of {pings} pings without load.
ovs-vswitchd on core {switches}, everything else (traffic, controller) on core {others}, as it would be on \
other machines.
Full match: the window begins with the load, so tracing, judging and cleaning are in \
it; {traced} of {asked} packets asked for were traced. Its pings are traced too, by one of ten tasks.
A bar is missed only if the ratio's median is below it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One setting in one round: packets/s, processor seconds per packet, seconds."""

    rate: float
    processor: float
    rtt: float


def main() -> None:
    """A lab, rounds, a table, a chart."""
    if os.geteuid() != 0:
        raise SystemExit("the lab needs root")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    overlay = replace(load_topology(), rate_limits=())
    with tempfile.TemporaryDirectory() as place, Lab(overlay, Path(place) / "lab") as lab:
        bench = Bench(lab, Path(place))
        found = [[bench.measure(number) for number in range(len(SETTINGS))] for _ in range(rounds)]
    series = {
        setting: [[ratio(row[number], row[0], what) for row in found] for what in range(len(MEASURES))]
        for number, setting in enumerate(SETTINGS)
    }
    CHART.write_text(
        bars(
            "What tracing costs, as ratios to no VTrace",
            MEASURES,
            {name: [median(values) for values in columns] for name, columns in series.items()},
        ),
        encoding="utf-8",
    )
    publish(section(series, found, bench))


def ratio(one: Measured, base: Measured, what: int) -> float:
    """How one compares to the other."""
    pairs = ((one.rate, base.rate), (one.processor, base.processor), (one.rtt, base.rtt))
    return pairs[what][0] / pairs[what][1]


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
        self.traced = self.asked = self.runs = 0
        self.ping()
        with self.load(0):
            time.sleep(WARM_UP)
            self.offered = OVERLOAD * self.window(lambda: time.sleep(WINDOW))[0]

    def measure(self, setting: int) -> Measured:
        """One setting."""
        if not setting:
            return self.under_load(lambda: time.sleep(WINDOW))
        with self.controller() as store:
            if setting == SETTINGS.index("attached, no task"):
                return self.under_load(lambda: time.sleep(WINDOW))
            if setting == SETTINGS.index("ten tasks, zero match"):
                self.armed(store, [_traffic(port) for port in UNUSED_PORTS])
                return self.under_load(lambda: time.sleep(WINDOW))
            return self.full_match(store)

    def full_match(self, store: Store) -> Measured:
        """Ten tasks, armed when the load begins; what they miss of it they get from a lighter one behind the window."""
        tasks = self.armed(store, [_traffic(port) for port in SOURCE_PORTS])
        idle = self.received()
        with self.load(self.offered):
            self.await_that(lambda: self.received() > idle)
            rate, processor = self.window(lambda: time.sleep(WINDOW))
        with self.load(LIGHT):
            self.await_that(lambda: all(_state(store, task).final for task in tasks))
        results = [store.result(task.id) for task in tasks]
        self.traced += sum(min(PACKETS, result.packets) for result in results if result is not None)
        self.asked += TASKS * PACKETS
        self.armed(store, [f"icmp,{ADDRESSES}", *(_traffic(port) for port in UNUSED_PORTS[1:])])
        return Measured(rate, processor, self.ping())

    def under_load(self, pause: Callable[[], None]) -> Measured:
        """The rate and processor time while the load runs, then the RTT."""
        with self.load(self.offered):
            time.sleep(WARM_UP)
            rate, processor = self.window(pause)
        return Measured(rate, processor, self.ping())

    def window(self, pause: Callable[[], None]) -> tuple[float, float]:
        """Packets received per second, and processor seconds per packet."""
        began, packets, spent = time.monotonic(), self.received(), self.processor()
        pause()
        passed, got = time.monotonic() - began, self.received() - packets
        return got / passed, (self.processor() - spent) / max(got, 1)

    def received(self) -> int:
        """Packets the destination's interface has received so far."""
        table = Path(f"/proc/{self.lab.vm(DESTINATION).pid}/net/dev").read_text(encoding="ascii")
        (line,) = (line for line in table.splitlines() if line.strip().startswith(f"{VM_INTERFACE}:"))
        return int(line.partition(":")[2].split()[1])

    def processor(self) -> float:
        """Processor seconds of the servers' ovs-vswitchd so far (clock_getcpuclockid(3))."""
        return sum(time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) for pid in self.pids)

    def ping(self) -> float:
        """The median RTT, in seconds."""
        words = ("ping", "-n", "-c", str(PINGS), "-i", str(PING_INTERVAL), "10.0.2.22")
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
        script = str(Path(__file__).with_name("blast.py"))
        sender = self.program(SOURCE, script, "10.0.2.22", str(PORT), str(rate), ",".join(map(str, SOURCE_PORTS)))
        try:
            yield
        finally:
            sender.communicate(timeout=DEADLINE)
            receiver.communicate(timeout=DEADLINE)

    def program(self, vm: str, *arguments: str) -> subprocess.Popen[str]:
        """Python in a VM."""
        words = [*self.lab.vm(vm).prefix, sys.executable, *arguments]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def controller(self) -> Iterator[Store]:
        """``vtrace controller``, attached to every bridge; its database."""
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

    @staticmethod
    def add(store: Store, text: str) -> Task:
        """One task."""
        request = trace_request(
            text, packet_count=PACKETS, trace_time=60, vni=None, source_vm=SOURCE, destination_vm=None
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


def _state(store: Store, task: Task) -> TaskState:
    found = store.task(task.id)
    return task.state if found is None else found.state


def section(series: dict[str, list[list[float]]], found: list[list[Measured]], bench: Bench) -> Section:
    """The table: ratios by setting."""
    rows = []
    for number, (setting, columns) in enumerate(series.items()):
        bar = BARS[number]
        cells = [_cell(values) if number else "1" for values in columns]
        rows.append((setting, *cells, "" if bar is None else f"{bar:.2f} ({verdict(-median(columns[0]), -bar)})"))
    given = {
        "rounds": len(found),
        "source": SOURCE,
        "destination": DESTINATION,
        "overload": OVERLOAD,
        "window": WINDOW,
        "pings": PINGS,
        "switches": SWITCH_CORE if bench.cores else "any",
        "others": OTHER_CORE if bench.cores else "any",
        "packets": PACKETS,
        "traced": bench.traced,
        "asked": bench.asked,
    }
    base = [row[0] for row in found]
    absolute = (
        f"No VTrace itself: {median(one.rate for one in base):,.0f} packets/s, "
        f"{microseconds(median(one.processor for one in base))} of CPU per packet, "
        f"RTT {milliseconds(median(one.rtt for one in base))}."
    )
    notes = [*NOTES.format(**given).splitlines(), absolute]
    header = ("setting", *MEASURES, "bar for the rate")
    return Section("overhead", "What tracing costs the traffic", header, rows, notes, chart=CHART.name)


def _cell(values: Sequence[float]) -> str:
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
