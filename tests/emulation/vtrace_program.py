"""Turns a lab into the ``vtrace`` program run against it, into traffic, and into pictures of every VFD to compare."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from vtrace_ovs.cli.api import add_vtrace
from vtrace_ovs.errors import StorageError
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.server import programs
from vtrace_ovs.lab.traffic import RunningTraffic, TrafficProtocol, TrafficRequest
from vtrace_ovs.lab.wiring import VM_INTERFACE
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.ovsdb.fingerprint import Fingerprint, difference, fingerprint
from vtrace_ovs.storage.store import Store

DEADLINE = 60.0
NOT_TOLD = re.compile(r"^[0-9]+: |@if[0-9]+|state [A-Z]+|link/ether [0-9a-f:]+|link-netnsid [0-9]+")
UDP = "udp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=5000"
TCP = "tcp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=443"
NEVER_SENT = "udp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=9"
OURS = "cookie=0x5654"
CAPTURE = (
    "import socket,sys\n"
    "end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n"
    "end.bind((sys.argv[1], 0))\n"
    "print(flush=True)\n"
    "while True:\n"
    "    frame, (_, _, kind, *_) = end.recvfrom(2048)\n"
    "    if kind != socket.PACKET_OUTGOING: print(frame.hex(), flush=True)\n"
)

Fingerprints = Mapping[tuple[str, str], Fingerprint]
Json = dict[str, Any]


@dataclass(frozen=True)
class Vtrace:
    """The program, in an environment of its own: this lab's servers, a database and a run directory."""

    environment: Mapping[str, str]

    def __call__(
        self, *arguments: str, prefix: Sequence[str] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; ``prefix`` is a command that runs it in other circumstances."""
        return subprocess.run(
            [*prefix, *self.command(*arguments)],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run it beside the test; killed at the end if it still lives, but what fails meanwhile lets it clean up."""
        with subprocess.Popen(
            self.command(*arguments),
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            except BaseException:  # what it left would be the next tests' failures too
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=DEADLINE)
                raise
            finally:
                process.kill()

    @contextmanager
    def controller(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """``vtrace controller``, up when it holds its lock; ended by SIGTERM."""
        with self.started("controller", *arguments, **environment) as process:
            lock = Path(self.environment["VTRACE_RUNDIR"]) / "controller.lock"
            holder = str(process.pid)
            await_that(lambda: process.poll() is not None or (lock.exists() and lock.read_text().strip() == holder))
            assert process.poll() is None, process.communicate()
            yield process
            process.terminate()
            process.wait(DEADLINE)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "vtrace_ovs", *arguments]

    def add(self, filter_text: str, packet_count: int, trace_time: int, **scope: Any) -> int:  # noqa: ANN401 - as there
        """Add a task to the database, as ``vtrace add`` does but without another start of Python; its number."""
        database = self.environment["VTRACE_DATABASE"]
        return add_vtrace(filter_text, packet_count, trace_time, database=database, **scope)

    def result(self, number: int, deadline: float = DEADLINE) -> TaskResult:
        """The result of a task, once it is done."""
        with self.store() as store:
            await_that(
                lambda: (task := store.task(number)) is not None and task.state.final,
                lambda: store.task(number),
                deadline,
            )
            result, task = store.result(number), store.task(number)
        assert result is not None, task
        return result

    def store(self) -> Store:
        """The database, which must be there."""
        return Store.open(self.environment["VTRACE_DATABASE"], create=False)

    def state(self, number: int = 1) -> str | None:
        """A task's state, as another process sees it in the database; None while there is no such task."""
        if not Path(self.environment["VTRACE_DATABASE"]).exists():
            return None
        try:
            with self.store() as store:
                task = store.task(number)
        except StorageError as error:
            if "is empty" in str(error):  # it is being made at this moment
                return None
            raise
        return None if task is None else task.state.value

    def open_intents(self) -> int:
        """How many undos are still owed."""
        with self.store() as store:
            return len(store.open_intents())


def vtrace_of(lab: Lab, place: Path, bytecode: Path) -> Vtrace:
    """The program for this lab, with a database and a run directory in ``place``.

    ``bytecode`` is where every start of Python finds what the first has compiled: most of a start is that.
    """
    return Vtrace(
        {
            **os.environ,
            "VTRACE_OVSDB": ",".join(lab.state().ovsdb_remotes),
            "VTRACE_DATABASE": str(place / "vtrace.db"),
            "VTRACE_RUNDIR": str(place / "run"),
            "VTRACE_LISTEN": "",
            "NO_COLOR": "1",
            "PYTHONPYCACHEPREFIX": str(bytecode),
            "PYTHONDONTWRITEBYTECODE": "",
        }
    )


def await_that(
    condition: Callable[[], bool], otherwise: Callable[[], object] = str, deadline: float = DEADLINE
) -> None:
    """Look until it is so; fails after so many seconds, with what ``otherwise`` says."""
    end = time.monotonic() + deadline
    for _ in pauses():
        if condition():
            return
        assert time.monotonic() < end, f"it did not come about: {otherwise()}"


def pauses(length: float = 0.02) -> Iterator[float]:
    """The time (monotonic seconds), again and again, with a pause between: for looking at a condition."""
    never = threading.Event()
    yield time.monotonic()
    while not never.wait(length):
        yield time.monotonic()


@contextmanager
def repeating(step: Callable[[int], None], every: float) -> Iterator[Future[int]]:
    """Do it at once and every so many seconds, with its number from 1, until the block ends; how often it was done."""
    over = threading.Event()

    def work() -> int:
        number = 1
        step(number)
        while not over.wait(every):
            number += 1
            step(number)
        return number

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        try:
            yield done
        finally:
            over.set()
    done.result()


def vfds(lab: Lab) -> tuple[tuple[str, str], ...]:
    """Server and name of every VFD."""
    return tuple((server.name, bridge) for server in lab.base.servers for bridge in programs(lab.base, server))


def fingerprints(lab: Lab) -> Fingerprints:
    """What every VFD, and every underlay switch, promises to production."""

    def of(bridge: tuple[str, str]) -> Fingerprint:
        return fingerprint(lab.directory / bridge[0], bridge[1], DEADLINE)

    there = (*vfds(lab), *((switch, switch) for switch in lab.base.underlay.switches))
    with ThreadPoolExecutor(len(there)) as pool:
        return dict(zip(there, pool.map(of, there), strict=True))


def surroundings(lab: Lab) -> list[str]:
    """What the kernel is told of every node's interfaces: up or not, MTU, addresses, routes, neighbours and filters.

    A restarted ovs-vswitchd makes its internal ports anew: their numbers, MAC addresses and operational state are not
    what anybody told the kernel.
    """
    nodes = [server.namespace for server in lab.servers.values()]
    nodes += [switch.namespace for switch in lab.switches.values()]
    shown = "'link show' 'address show' 'route show' '-6 route show' '-6 neigh show nud permanent'"
    said = f"for words in {shown}; do ip -o $words; done; nft list ruleset"
    with ThreadPoolExecutor(len(nodes)) as pool:
        texts = pool.map(lambda node: node.run("sh", "-c", said), [*nodes, *lab.vms.values()])
        return sorted(NOT_TOLD.sub("", line) for text in texts for line in text.splitlines())


def differences(before: Fingerprints, after: Fingerprints) -> list[str]:
    """What is not as before, one line each."""
    return [f"{vfd}: {line}" for vfd in before for line in difference(before[vfd], after[vfd])]


def our_flows(lab: Lab) -> int:
    """How many flows of ours the VFDs carry."""
    return sum(
        lab.ovs(server).ofctl("--no-stats", "dump-flows", str(lab.ovs(server).management_socket(bridge))).count(OURS)
        for server, bridge in vfds(lab)
    )


@contextmanager
def sending(  # noqa: PLR0913 - all but the lab have a default
    lab: Lab,
    tenant: str = "blue",
    protocol: TrafficProtocol = TrafficProtocol.UDP,
    port: int | None = 5000,
    *,
    rate: float = 50.0,
    dscp: int = 0,
    source_port: int | None = None,
) -> Iterator[RunningTraffic]:
    """Traffic of one tenant from its web1 to its db2, until the block ends."""
    request = TrafficRequest(
        *(f"{tenant}-web1", f"{tenant}-db2", protocol, port), rate=rate, count=0, dscp=dscp, source_port=source_port
    )
    number = lab.traffic.start(request)
    try:
        yield lab.traffic.running(number)
    finally:
        lab.traffic.stop(number)


@contextmanager
def captured(lab: Lab, vm: str) -> Iterator[list[bytes]]:
    """Every frame a VM receives while the block runs; complete after it."""
    frames: list[bytes] = []
    command = [*lab.vm(vm).prefix, sys.executable, "-c", CAPTURE, VM_INTERFACE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(lambda: [bytes.fromhex(line) for line in process.stdout or ()])
            try:
                yield frames
            finally:
                process.terminate()
                frames += reader.result()


class FrameSender:
    """Sends crafted frames from a VM whenever it is told to, over one process."""

    PROGRAM = (
        "import socket,sys\n"
        "end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
        "end.bind((sys.argv[1], 0))\n"
        "for line in sys.stdin: end.send(bytes.fromhex(line))\n"
    )

    def __init__(self, lab: Lab, vm: str) -> None:
        sender = lab.base.vm(vm)
        self._link = Ether(src=sender.mac, dst=lab.base.subnet_of(sender).gateway_mac)
        self._process = subprocess.Popen(
            [*lab.vm(vm).prefix, sys.executable, "-c", self.PROGRAM, VM_INTERFACE], stdin=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._process.communicate()
        assert kind is not None or self._process.returncode == 0

    def send(self, packet: Packet) -> None:
        """Send one packet from the VM to its gateway."""
        self.send_frame(bytes(self._link / packet))

    def send_frame(self, frame: bytes) -> None:
        """Send one frame."""
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(f"{frame.hex()}\n")
        pipe.flush()
