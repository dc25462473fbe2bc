"""Turns the lab into a path under more load than it forwards, and into what it forwards of it and what that takes.

What forwards has a core of its own where there are two: all of ovs-vswitchd or, with datapath threads, these. Traffic,
``vtrace controller`` and the rest have the other one.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "emulation"))

from flooding import blasting, received, sent  # found by the line before
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet, Raw

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.wiring import UPLINK, VM_INTERFACE
from vtrace_ovs.storage.store import Store

WARM_UP = 0.3
PINGS, PING_INTERVAL = 60, 0.01
LOWEST, FORWARDED, OVERLOAD, FITTING = 15_000.0, 0.9, 1.5, 2.0
DEADLINE = 120.0
SOURCE, DESTINATION = "blue-web1", "blue-db2"
ENDS = ("10.0.1.11", "10.0.2.22")
PORT, PAYLOAD = 5000, 64
SOURCE_PORTS = range(4000, 4010)
SWITCH_CORE, OTHER_CORE = 0, 1
CPUCLOCK_SCHED = 2
ON_THE_WAY = (("cs1", "br-int"), ("gw1", "br-int"), ("gw1", "vr-blue"), ("cs3", "br-int"))
REST, RESTING = 0.3, 0.1
"""A controller that takes less than this share of a core for so many seconds has done what it had to do."""
MAX_SLEEP = 100
"""Microseconds that a datapath thread may rest when little comes: otherwise an idle one takes all of its core."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Packets per second that arrived, the processor seconds each took, and packets per second that were sent."""

    rate: float
    processor: float
    sent: float

    @property
    def arrived(self) -> float:
        """The share of what was sent: if it were all of it, the rate would be the sender's."""
        return self.rate / self.sent

    def over(self, base: "Forwarded") -> "Forwarded":
        """All as ratios to what another time has."""
        return Forwarded(self.rate / base.rate, self.processor / base.processor, self.sent / base.sent)

    @staticmethod
    def between(before: "Forwarded", after: "Forwarded") -> "Forwarded":
        """What would have been measured between the two."""
        return Forwarded(
            mean((before.rate, after.rate)), mean((before.processor, after.processor)), mean((before.sent, after.sent))
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """At a moment (seconds): packets received and sent so far, and processor seconds spent."""

    at: float
    packets: int
    sent: int
    spent: float

    def since(self, began: "Reading") -> Forwarded:
        """What was forwarded from then on."""
        got, length = self.packets - began.packets, self.at - began.at
        return Forwarded(got / length, (self.spent - began.spent) / max(got, 1), (self.sent - began.sent) / length)


class LoadedLab:
    """A lab, what is sent over it, and a controller when somebody wants one.

    ``threads``: servers on the way have datapath threads (AF_XDP ports); otherwise their main threads forward.
    """

    def __init__(self, lab: Lab, place: Path, *, threads: bool = False) -> None:
        self.lab = lab
        self.place = place
        self.pids = [server.ovs.pids["ovs-vswitchd"] for server in lab.servers.values()]
        switches = [switch.ovs.pids["ovs-vswitchd"] for switch in lab.switches.values()]
        self.cores = (os.cpu_count() or 1) > OTHER_CORE
        for server in dict(ON_THE_WAY) if threads else ():
            self._give_threads(server)
        for pid in (*self.pids, *switches) if self.cores else ():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                forwards = pid in switches or not threads or (thread / "comm").read_text().startswith("pmd")
                os.sched_setaffinity(int(thread.name), {SWITCH_CORE if forwards else OTHER_CORE})
        if self.cores:
            os.sched_setaffinity(0, {OTHER_CORE})  # our children's too
        self.controllers = 0
        self.ping()
        self.offered = LOWEST

    def _give_threads(self, server: str) -> None:
        """Have all ports of a server that packets come in by polled by a datapath thread (ovs-vswitchd.conf.db(5))."""
        ovs = self.lab.ovs(server)
        ports = (UPLINK, *(vm.name for vm in self.lab.base.vms_on(server)))
        mask, sleep = f"pmd-cpu-mask={1 << SWITCH_CORE:#x}", f"pmd-maxsleep={MAX_SLEEP}"
        words = ["set", "Open_vSwitch", ".", f"other_config:{mask}", f"other_config:{sleep}"]
        ovs.vsctl(*words, *(word for port in ports for word in ("--", "set", "interface", port, "type=afxdp")))
        polled = ovs.appctl("dpif-netdev/pmd-rxq-show")
        missing = [port for port in ports if f"port: {port} " not in polled]
        if missing:
            raise SystemExit(f"no datapath thread polls {', '.join(missing)}: AF_XDP needs Linux 5.4 and libxdp in OVS")

    def fit(self) -> None:
        """Offer somewhat more than the path forwards just now: of much more it would forward less, and drop late."""
        while (found := self._under_load()).arrived >= FORWARDED:
            if found.sent < FORWARDED * self.offered:
                raise SystemExit(f"all of {found.sent:,.0f} packets/s arrive, and the sender has no more to give")
            self.offered *= OVERLOAD
        self.offered = OVERLOAD * found.rate

    def _under_load(self) -> Forwarded:
        with self.load(self.offered):
            return self.window(FITTING)

    def window(self, length: float) -> Forwarded:
        """What is forwarded in so many seconds, when what is new has settled."""
        time.sleep(WARM_UP)
        began = self.reading()
        time.sleep(length)
        return self.reading().since(began)

    def reading(self) -> Reading:
        """What the destination's interface has received, the source's has sent, and what that took."""
        got, gone = received(self.lab.vm(DESTINATION), VM_INTERFACE), sent(self.lab.vm(SOURCE), VM_INTERFACE)
        return Reading(time.monotonic(), got, gone, self.processor())

    def processor(self) -> float:
        """Processor seconds of the servers' ovs-vswitchd so far."""
        return sum(map(processor_time, self.pids))

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
        receiver = self._program(DESTINATION, "-c", sink, str(PORT))
        if receiver.stdout is None or receiver.stdout.readline() != "ready\n":
            raise SystemExit(f"nobody takes packets in {DESTINATION}")
        try:
            with blasting(self.lab, SOURCE, rate, map(_packet, SOURCE_PORTS), numbered=True):
                yield
        finally:
            receiver.communicate(timeout=DEADLINE)

    def _program(self, vm: str, *arguments: str) -> subprocess.Popen[str]:
        """Python in a VM."""
        words = [*self.lab.vm(vm).prefix, sys.executable, *arguments]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def controller(self) -> Iterator["Controller"]:
        """``vtrace controller``, stopped until somebody wants it awake."""
        self.controllers += 1
        place = self.place / str(self.controllers)
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
                await_that((place / "run" / "controller.lock").exists)
                with Store.open(str(place / "vtrace.db")) as store:
                    yield Controller(process, store)
            finally:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(DEADLINE)


class Controller:
    """A controller's process and its database. It is stopped, so that it costs nothing, while it is not ``awake``."""

    def __init__(self, process: "subprocess.Popen[bytes]", store: Store) -> None:
        self._process = process
        self.store = store
        self.rest()
        self._open = self._descriptors()
        process.send_signal(signal.SIGSTOP)

    @contextmanager
    def awake(self) -> Iterator[Store]:
        """It goes on, and is stopped again when it has hung up on all bridges, as a task's end leaves it."""
        self._process.send_signal(signal.SIGCONT)
        yield self.store
        await_that(lambda: self._descriptors() <= self._open)
        self._process.send_signal(signal.SIGSTOP)

    @property
    def spent(self) -> float:
        """Processor seconds so far."""
        return processor_time(self._process.pid)

    def rest(self) -> None:
        """Wait until it is done with what it has begun, such as starting, and takes next to no time any more."""
        await_that(self._rests)

    def _rests(self) -> bool:
        began = self.spent
        time.sleep(REST)
        return self.spent - began < RESTING * REST

    def _descriptors(self) -> int:
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))


def processor_time(pid: int) -> float:
    """Processor seconds of a process so far (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def await_that(condition: Callable[[], bool]) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the controller did not do what it was asked to")
        time.sleep(0.01)


def _packet(source_port: int) -> Packet:
    """One of them, with room for its number; without a UDP checksum, which IPv4 allows (RFC 768)."""
    start = IP(src=ENDS[0], dst=ENDS[1], id=0, flags="DF")
    return start / UDP(sport=source_port, dport=PORT, chksum=0) / Raw(b"x" * PAYLOAD)
