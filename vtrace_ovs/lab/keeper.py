"""Turns a topology into a lab that outlives the command that asked for it: a detached process holds it and serves it.

    python -m vtrace_ovs.lab.keeper DIRECTORY TOPOLOGY

Returns when the lab is up (exit 0) or could not be built (exit 4 and an ``Answer`` with the reason on standard
output). The lab ends on a TakeDown call, SIGTERM or SIGINT, and leaves nothing. Mininet's nodes end with their parent;
that is why somebody has to stay.
"""

import contextlib
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import assert_never

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.errors import CodecError, LabError, UsageError, VtraceError
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.protocol import (
    LOG_NAME,
    SOCKET_NAME,
    STATE_NAME,
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
from vtrace_ovs.lab.state import LabState
from vtrace_ovs.lab.topologies import load_topology

CALL_DEADLINE = 10.0
MAX_CALL = 65536


class EndRequestedError(Exception):
    """A signal asked the keeper to end."""


def _end(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise EndRequestedError


class Keeper:
    """Serves one lab over a unix socket in the lab's directory, one call at a time; every call is short."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def open(self) -> None:
        """Start to listen, and leave the state beside the socket."""
        path = self._lab.directory / SOCKET_NAME
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen()
        self._write_state()

    def serve(self) -> None:
        """Answer calls until one takes the lab down.

        The answer to that one is sent when nothing is left, and its connection stays open until this process is gone:
        who waits for its end knows that all is over.
        """
        while True:
            connection, _address = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(CALL_DEADLINE)
                call = _read_call(connection)
                if isinstance(call, Call) and isinstance(call.request, TakeDown):
                    self.close()
                    self._lab.down()
                    _write(connection, Answer(Done()))
                    os.dup(connection.fileno())  # nobody closes this one but the end of the process
                    return
                _write(connection, self.answer(call) if isinstance(call, Call) else Answer(call))

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def answer(self, call: Call) -> Answer:
        """Do what is asked. What cannot be done is an answer too."""
        try:
            answer = self._do(call)
        except VtraceError as error:
            return Answer(_refusal(error))
        self._write_state()
        return answer

    def _do(self, call: Call) -> Answer:
        request = call.request
        lab = self._lab
        match request:
            case AskState():
                return Answer(self._state())
            case InjectFault(fault):
                return Answer(lab.faults.inject(fault))
            case HealFault(name):
                if name is None:
                    lab.faults.heal_all()
                else:
                    lab.faults.heal(name)
                return Answer(self._state())
            case StartTraffic(wanted):
                return Answer(TrafficProgress(lab.traffic.start(wanted), running=True))
            case AskTraffic(number):
                return Answer(TrafficProgress(number, lab.traffic.running(number).running))
            case StopTraffic(number):
                return Answer(lab.traffic.stop(number))
            case TakeDown():
                return Answer(Done())
            case _:
                assert_never(request)

    def _state(self) -> LabState:
        return replace(self._lab.state(), keeper=os.getpid())

    def _write_state(self) -> None:
        path = self._lab.directory / STATE_NAME
        fresh = path.with_suffix(".new")
        fresh.write_text(to_json(self._state()) + "\n", encoding="ascii")
        fresh.replace(path)


def _read_call(connection: socket.socket) -> Call | Refusal:
    text = b""
    while not text.endswith(b"\n"):
        part = connection.recv(MAX_CALL)
        text += part
        if not part or len(text) > MAX_CALL:
            return Refusal("a call is one JSON line", usage=True)
    try:
        return from_json(Call, text)
    except CodecError as wrong:
        return Refusal(str(wrong), usage=True)


def _write(connection: socket.socket, answer: Answer) -> None:
    connection.sendall(to_json(answer).encode("ascii") + b"\n")


def _refusal(error: VtraceError) -> Refusal:
    return Refusal(str(error), usage=isinstance(error, UsageError))


def hold(directory: Path, topology: str, outcome: int) -> None:
    """Build the lab, say so on the ``outcome`` pipe (or why not), and hold it until it is to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with contextlib.suppress(EndRequestedError), os.fdopen(outcome, "w", encoding="ascii") as report:
        try:
            lab = Lab(load_topology(topology), directory).up()
        except VtraceError as error:
            report.write(to_json(Answer(_refusal(error))))
            return
        except Exception as error:
            report.write(to_json(Answer(Refusal(f"{type(error).__name__}: {error}", usage=False))))
            raise
        keeper = Keeper(lab)
        try:
            _redirect(directory / LOG_NAME)
            keeper.open()
            report.write(to_json(Answer(Done())))
            report.close()
            keeper.serve()
        finally:
            keeper.close()
            lab.down()


def _redirect(log: Path | None) -> None:
    """Standard input from nowhere, output and errors to ``log`` (None: nowhere)."""
    with Path(os.devnull).open("r+b") as nowhere:
        os.dup2(nowhere.fileno(), 0)
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
    if log is not None:
        with log.open("ab") as output:
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)


def main(arguments: list[str]) -> int:
    """Fork the keeper and wait until its lab is up; returns the exit code."""
    directory, topology = arguments
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(reading)
        _redirect(None)
        hold(Path(directory), topology, writing)
        return 0
    os.close(writing)
    with os.fdopen(reading, encoding="ascii") as report:
        outcome = report.read()
    sys.stdout.write(f"{outcome}\n")
    return 0 if outcome == to_json(Answer(Done())) else LabError.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
