"""Turns a traffic request into real ICMP, TCP or UDP between two VMs of a lab, and into counts from both ends."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vtrace_ovs.codecs.documents import from_json
from vtrace_ovs.errors import CodecError, LabError, UsageError
from vtrace_ovs.lab import endpoint
from vtrace_ovs.lab.namespaces import Namespace
from vtrace_ovs.model.packet import IPAddress, IpFamily

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

STOP_DEADLINE = 10.0
MAX_DSCP = 63
MAX_PORT = 65535
DEFAULT_SIZE, MAX_SIZE = len(endpoint.MESSAGE), 8000


class TrafficProtocol(Enum):
    """``tcp`` opens a connection per probe, ``tcp-stream`` one for all; ``sctp`` asks for one and gets no answer."""

    ICMP = "icmp"
    TCP = "tcp"
    TCP_STREAM = "tcp-stream"
    UDP = "udp"
    SCTP = "sctp"


@dataclass(frozen=True, slots=True)
class TrafficRequest:
    """What to send between two VMs (names). ``rate`` is in probes/s; ``count`` 0 means until stopped.

    ``timeout`` is how long a probe may take to be answered (s). ``listen`` False leaves the destination's port closed.
    ``source_port`` None lets the sender's kernel choose; ``address`` is what to send to, None the destination's own.
    ``size`` is how many bytes of payload a probe has.
    """

    source: str
    destination: str
    protocol: TrafficProtocol = TrafficProtocol.ICMP
    port: int | None = None
    rate: float = 20.0
    count: int = 10
    dscp: int = 0
    timeout: float = 1.0
    listen: bool = True
    source_port: int | None = None
    address: IPAddress | None = None
    family: IpFamily = IpFamily.IPV4
    size: int = DEFAULT_SIZE

    def check(self) -> None:
        """Raise UsageError for what cannot be sent."""
        if (self.protocol is TrafficProtocol.ICMP) != (self.port is None):
            raise UsageError(f"{self.protocol.value}: TCP and UDP need a port, ICMP has none")
        for number in (self.port, self.source_port):
            if number is not None and not 1 <= number <= MAX_PORT:
                raise UsageError(f"port {number} is not within 1-{MAX_PORT}")
        if not 0 <= self.dscp <= MAX_DSCP:
            raise UsageError(f"DSCP {self.dscp} is not within 0-{MAX_DSCP}")
        if not DEFAULT_SIZE <= self.size <= MAX_SIZE:
            raise UsageError(f"a size of {self.size} bytes is not within {DEFAULT_SIZE}-{MAX_SIZE}")
        if self.rate <= 0 or self.count < 0 or self.timeout <= 0:
            raise UsageError("rate and timeout must be above 0, count not below")


@dataclass(frozen=True, slots=True)
class EndpointCounts:
    """What one end printed. ``received`` counts the packets a listener's kernel got from the sender."""

    sent: int
    replies: int
    received: int
    dscps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """``sent`` probes, ``replies`` to them; ``received`` packets at the destination with these ``dscps``.

    ``received`` is None when nobody listened. For TCP it counts segments, not probes.
    """

    sent: int
    replies: int
    received: int | None = None
    dscps: tuple[int, ...] = ()


class RunningTraffic:
    """Traffic under way. Ends by itself after ``count`` probes, or by ``stop``."""

    def __init__(self, request: TrafficRequest, sender: subprocess.Popen[str], listener: "Listener | None") -> None:
        self.request = request
        self._sender = sender
        self._listener = listener

    @property
    def running(self) -> bool:
        """Whether probes are still being sent."""
        return self._sender.poll() is None

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of both ends."""
        return (self._sender.pid, *([self._listener.process.pid] if self._listener else []))

    def stop(self) -> TrafficReport:
        """Send no more, and report. Raises LabError when an end failed."""
        if self.running:
            self._sender.send_signal(signal.SIGTERM)
        return self.wait(self.request.timeout + STOP_DEADLINE)

    def wait(self, timeout: float | None = None) -> TrafficReport:
        """Wait until all is sent, and report. ``timeout`` in seconds; None: as long as the request may take."""
        if timeout is None:
            timeout = self.request.count / self.request.rate + 2 * self.request.timeout + STOP_DEADLINE
        try:
            sent = _counts(self._sender, timeout)
        finally:
            received = self._listener.stop() if self._listener else None
        if received is None:
            return TrafficReport(sent.sent, sent.replies)
        return TrafficReport(sent.sent, sent.replies, received.received, received.dscps)


class Lifeline:
    """A pipe whose reading end every endpoint holds: it breaks when this process ends, however it ends."""

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def reading_end(self) -> int:
        """The descriptor to give to an endpoint as its standard input."""
        if self._ends is None:
            self._ends = os.pipe()
        return self._ends[0]

    def cut(self) -> None:
        """Let every endpoint go."""
        for end in self._ends or ():
            os.close(end)
        self._ends = None


@dataclass(frozen=True, slots=True)
class Listener:
    """The destination's end."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, node: Namespace, lifeline: Lifeline, protocol: str, port: int, source: str) -> Self:
        """Start it and wait until it listens. Raises LabError when it cannot (the port is taken)."""
        return cls(_endpoint(node, lifeline, "listen", protocol, str(port), source))

    def stop(self) -> EndpointCounts:
        """End it and take its counts."""
        self.process.send_signal(signal.SIGTERM)
        return _counts(self.process, STOP_DEADLINE)


class Traffic:
    """All traffic of one lab, numbered from 1. ``start`` and ``stop`` may be called from several threads."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab
        self._running: dict[int, RunningTraffic] = {}
        self._numbers = itertools.count(1)
        self._lifeline = Lifeline()

    def start(self, request: TrafficRequest) -> int:
        """Start traffic in the background; returns its number. Raises UsageError or LabError."""
        request.check()
        source, destination = self._lab.vm(request.source), self._lab.vm(request.destination)
        port, protocol = request.port or 0, request.protocol.value
        arguments = _sender_arguments(request, self._lab)
        listener = None
        if request.listen:
            address = self._lab.address(request.source, request.family)
            listener = Listener.start(destination, self._lifeline, protocol, port, str(address))
        try:
            sender = _endpoint(source, self._lifeline, "send", *arguments)
        except LabError:
            if listener:
                listener.stop()
            raise
        number = next(self._numbers)
        self._running[number] = RunningTraffic(request, sender, listener)
        return number

    def running(self, number: int) -> RunningTraffic:
        """Traffic by its number. Raises UsageError for one that was never started or is over and reported."""
        if number not in self._running:
            raise UsageError(f"no traffic {number}; there is: {', '.join(map(str, self._running)) or 'none'}")
        return self._running[number]

    def stop(self, number: int) -> TrafficReport:
        """End it and report."""
        running = self.running(number)
        del self._running[number]
        return running.stop()

    def run(self, request: TrafficRequest) -> TrafficReport:
        """Send it all, wait for the answers, and report. ``count`` must not be 0."""
        if request.count == 0:
            raise UsageError("traffic without end needs start and stop")
        number = self.start(request)
        return self._running.pop(number).wait()

    def stop_all(self) -> None:
        """End everything that still runs."""
        for number in tuple(self._running):
            self.stop(number)
        self._lifeline.cut()


def _sender_arguments(request: TrafficRequest, lab: "Lab") -> tuple[str, ...]:
    return (
        request.protocol.value,
        str(request.port or 0),
        str(request.address or lab.address(request.destination, request.family)),
        *(str(value) for value in (request.rate, request.count, request.dscp, request.timeout)),
        str(request.source_port or 0),
        str(request.size),
    )


def send_frames(node: Namespace, interface: str, frames: Sequence[bytes]) -> None:
    """Send crafted Ethernet frames (e.g. scapy's ``bytes(packet)``) out of a VM's interface, in order."""
    program = (
        "import socket,sys\n"
        "end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
        "end.bind((sys.argv[1], 0))\n"
        "for line in sys.stdin: end.send(bytes.fromhex(line))\n"
    )
    node.run(sys.executable, "-c", program, interface, stdin="".join(f"{frame.hex()}\n" for frame in frames))


def _endpoint(node: Namespace, lifeline: Lifeline, *arguments: str) -> subprocess.Popen[str]:
    """Start one end and wait until it is ready. Raises LabError when it cannot (the port is taken)."""
    process = subprocess.Popen(
        [*node.prefix, sys.executable, str(Path(endpoint.__file__)), *arguments],
        stdin=lifeline.reading_end(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None or process.stdout.readline() != "ready\n":
        _out, error = _output(process, STOP_DEADLINE)
        raise LabError(f"{node.name}: cannot {' '.join(arguments)}: {_last_line(error)}")
    return process


def _counts(process: subprocess.Popen[str], timeout: float) -> EndpointCounts:
    out, error = _output(process, timeout)
    try:
        return from_json(EndpointCounts, _last_line(out))
    except CodecError as wrong:
        raise LabError(f"a traffic endpoint failed: {_last_line(error) or wrong}") from wrong


def _output(process: subprocess.Popen[str], timeout: float) -> tuple[str, str]:
    """Wait for the end and take what is still to read: a line or two, so the pipes cannot fill meanwhile."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise LabError(f"a traffic endpoint did not end within {timeout:.0f} s") from None
    finally:
        process.wait()
        texts = [pipe.read() for pipe in (process.stdout, process.stderr) if pipe is not None]
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return texts[0], texts[1]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
