"""Turns what the command line wants of a lab into calls to the lab's keeper, and starts that keeper.

client = LabClient(lab_directory("vpc"))
client.up("vpc")
client.fault("security-deny", vm="blue-db2", port=443)
client.traffic("blue-web1", "blue-db2", "tcp", port=443, count=20)
client.heal()
client.down()
"""

import socket
import subprocess
import sys
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.errors import CodecError, LabError, UsageError
from vtrace_ovs.lab.faults.catalogue import CATALOGUE
from vtrace_ovs.lab.faults.fault import PLACES, Fault, fault_named
from vtrace_ovs.lab.preconditions import check_preconditions
from vtrace_ovs.lab.protocol import (
    SOCKET_NAME,
    Answer,
    AskState,
    AskTraffic,
    Call,
    Done,
    HealFault,
    InjectFault,
    Refusal,
    StartTraffic,
    StopTraffic,
    TakeDown,
    TrafficProgress,
)
from vtrace_ovs.lab.remains import sweep
from vtrace_ovs.lab.state import LabState
from vtrace_ovs.lab.topologies import DEFAULT_TOPOLOGY, load_topology, topology_path
from vtrace_ovs.lab.traffic import DEFAULT_SIZE, TrafficProtocol, TrafficReport, TrafficRequest
from vtrace_ovs.model.packet import IpFamily

RUN_DIRECTORY = Path("/run/vtrace/lab")
UP_DEADLINE = 60.0
CALL_DEADLINE = 60.0
POLL_INTERVAL = 0.05
_R = TypeVar("_R", LabState, Fault, TrafficProgress, TrafficReport, Done)


def lab_directory(name: str = DEFAULT_TOPOLOGY, run_directory: Path = RUN_DIRECTORY) -> Path:
    """Where the lab of this name lives; labs in different directories coexist."""
    return run_directory / name


def labs(run_directory: Path = RUN_DIRECTORY) -> tuple[str, ...]:
    """The names of the labs that are up, or left remains, under a run directory."""
    return tuple(sorted(entry.name for entry in run_directory.glob("*") if entry.is_dir()))


class LabClient:
    """One lab that a keeper holds in ``directory``. Every method raises LabError when there is none or it fails."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = (directory or lab_directory()).absolute()

    def up(self, topology: str = DEFAULT_TOPOLOGY) -> LabState:
        """Build the lab and return when it is up; it stays. Remains of a lab that crashed here are removed first.

        ``topology`` is a shipped name or the path of a ``.toml`` file. Raises UsageError for a wrong topology or a lab
        that is up already.
        """
        check_preconditions()
        load_topology(topology)
        if self.directory.exists():
            if self._connects():
                raise UsageError(f"a lab is up in {self.directory} already; take it down first: vtrace lab down")
            sweep(self.directory)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "vtrace_ovs.lab.keeper"),
                *(str(self.directory), str(topology_path(topology).absolute())),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=UP_DEADLINE,
        )
        try:
            _expect(Done, from_json(Answer, done.stdout))
        except CodecError as silent:
            raise LabError(f"the lab's keeper failed: {done.stderr.strip()[-500:] or silent}") from silent
        return self.status()

    def down(self) -> None:
        """Take the lab down; a lab whose keeper died is swept up. Raises LabError when there is none."""
        if not self.directory.exists():
            raise LabError(f"no lab is up in {self.directory}")
        if self._connects():
            self._call(Call(TakeDown()), Done)
        else:
            sweep(self.directory)

    def status(self) -> LabState:
        """What there is."""
        return self._call(Call(AskState()), LabState)

    def fault(  # noqa: PLR0913 - the places a fault can have, all optional, by keyword
        self,
        name: str,
        *,
        vm: str | None = None,
        protocol: str | None = None,
        port: int | None = None,
        prefix: str | None = None,
        rate: int | None = None,
        server: str | None = None,
        link: str | None = None,
        switch: str | None = None,
        percent: int | None = None,
    ) -> Fault:
        """Break something by name; returns the fault with every place filled in. Raises UsageError for a wrong one."""
        try:
            network = ip_network(prefix) if prefix else None
        except ValueError as wrong:
            raise UsageError(f"{prefix!r} is no prefix: {wrong}") from wrong
        fault = Fault(
            *(fault_named(name), vm, protocol, port, network, rate, server, link), switch=switch, percent=percent
        )
        places = CATALOGUE[fault.name].places
        for place in PLACES:
            if getattr(fault, place) is not None and place not in places:
                taken = ", ".join(f"--{one}" for one in places)
                raise UsageError(f"{name}: --{place} means nothing to this fault; it takes {taken}")
        return self._call(Call(InjectFault(fault)), Fault)

    def heal(self, name: str | None = None) -> LabState:
        """Undo one fault, or all of them. Raises UsageError for one that is not in force."""
        return self._call(Call(HealFault(fault_named(name) if name else None)), LabState)

    def traffic(  # noqa: PLR0913 - the parameters of traffic, all but three by keyword
        self,
        source: str,
        destination: str,
        protocol: str = "icmp",
        *,
        port: int | None = None,
        rate: float = 20.0,
        count: int = 10,
        dscp: int = 0,
        timeout: float = 1.0,
        listen: bool = True,
        ipv6: bool = False,
        address: str | None = None,
        size: int | None = None,
    ) -> TrafficReport:
        """Send ``count`` probes, wait for the answers, and report what was sent, answered and received.

        ``address`` is what to send to, None the destination's own; ``size`` None is the least payload (bytes). Raises
        UsageError for what cannot be sent.
        """
        try:
            to = None if address is None else ip_address(address)
        except ValueError as wrong:
            raise UsageError(f"--address: {wrong}") from wrong
        family = IpFamily.IPV6 if ipv6 else IpFamily.IPV4
        kind = traffic_protocol(protocol)
        if count == 0:
            raise UsageError("traffic without end needs start_traffic and stop_traffic")
        request = TrafficRequest(
            *(source, destination, kind, port, rate, count, dscp, timeout, listen),
            family=family,
            address=to,
            size=DEFAULT_SIZE if size is None else size,
        )
        number = self.start_traffic(request)
        try:
            while self._call(Call(AskTraffic(number)), TrafficProgress).running:
                time.sleep(POLL_INTERVAL)
        except KeyboardInterrupt:
            self.stop_traffic(number)
            raise
        return self.stop_traffic(number)

    def start_traffic(self, request: TrafficRequest) -> int:
        """Start traffic in the background; returns its number. Raises UsageError for what cannot be sent."""
        request.check()
        return self._call(Call(StartTraffic(request)), TrafficProgress).number

    def stop_traffic(self, number: int) -> TrafficReport:
        """End traffic and report."""
        return self._call(Call(StopTraffic(number)), TrafficReport)

    def _connects(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            return connection.connect_ex(str(self.directory / SOCKET_NAME)) == 0

    def _call(self, call: Call, kind: type[_R]) -> _R:
        text = b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CALL_DEADLINE)
            try:
                connection.connect(str(self.directory / SOCKET_NAME))
            except OSError as refused:
                raise LabError(f"no lab is up in {self.directory} ({refused}); start one: vtrace lab up") from refused
            try:
                connection.sendall(to_json(call).encode("ascii") + b"\n")
                while part := connection.recv(65536):
                    text += part
            except OSError as broken:
                raise LabError(f"the keeper of {self.directory} does not answer: {broken}") from broken
        return _expect(kind, from_json(Answer, text))


def traffic_protocol(name: str) -> TrafficProtocol:
    """The protocol of this name. Raises UsageError that lists them."""
    try:
        return TrafficProtocol(name)
    except ValueError as unknown:
        names = ", ".join(protocol.value for protocol in TrafficProtocol)
        raise UsageError(f"no protocol {name!r}; there are: {names}") from unknown


def _expect(kind: type[_R], answer: Answer) -> _R:
    match answer.result:
        case Refusal(message, usage):
            raise UsageError(message) if usage else LabError(message)
        case result if isinstance(result, kind):
            return result
        case other:
            raise LabError(f"the keeper answered {type(other).__name__} instead of {kind.__name__}")
