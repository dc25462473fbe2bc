"""Turns commands for ovs-vswitchd into its answers, over its control socket: ovs-appctl(8) without a process.

JSON-RPC over a Unix socket. python-ovs has a client too, which waits for ever, one command at a time.
"""

import json
import socket
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.session.boundary import SocketWrapper

RECEIVE_SIZE = 1 << 17
_json = json.JSONDecoder()
_answered: dict[Path, Path] = {}
"""The socket that answered last, by the folder; a daemon that comes anew makes another one, or the same."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """What ovs-vswitchd says to a command: a result, or why it refuses."""

    asked: str
    result: str | None
    error: str = ""


class ControlSocket:
    """One connection to one ovs-vswitchd. Answers come in the order of the commands."""

    def __init__(self, path: Path, timeout: float, wrap: SocketWrapper | None = None) -> None:
        """Connect. ``timeout`` is in seconds, for every answer; ``wrap`` makes the socket that is waited on.

        Raises InfrastructureError when nobody listens; with ``wrap``, also when too many wait to be listened to.
        """
        self.path = path
        self.timeout = timeout
        self._sent: list[str] = []
        self._received = ""
        self._decoder = getincrementaldecoder("utf-8")("replace")
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(timeout if wrap is None else 0.0)
        try:
            plain.connect(str(path))
        except OSError as error:
            plain.close()
            raise self._failed(f"cannot be asked: {error.strerror or error}") from error
        self._socket = plain if wrap is None else wrap(plain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; answers that were not read are lost."""
        self._socket.close()

    def run(self, *commands: tuple[str, ...]) -> list[str]:
        """The answer to each command (a name and its arguments), asked in one go.

        Raises InfrastructureError for the first that ovs-vswitchd refuses, or does not answer in time.
        """
        self.send(*commands)
        return [self._result(self._expected()) for _ in commands]

    def try_each(self, *commands: tuple[str, ...]) -> list[str | None]:
        """The answer to each command, asked in one go; None for what ovs-vswitchd refuses.

        Raises InfrastructureError when it does not answer in time.
        """
        self.send(*commands)
        return [self._expected().result for _ in commands]

    def send(self, *commands: tuple[str, ...]) -> None:
        """Only ask; ``answer`` gives what comes back. Raises InfrastructureError."""
        requests = [{"id": at, "method": name, "params": words} for at, (name, *words) in enumerate(commands)]
        self._sent += [" ".join(command) for command in commands]
        self._socket.settimeout(self.timeout)
        try:
            self._socket.sendall("".join(map(json.dumps, requests)).encode())
        except OSError as error:
            raise self._failed(f"does not listen: {error.strerror or error}") from error

    def answer(self, timeout: float) -> str | None:
        """The next answer, None when ``timeout`` seconds did not bring it. Raises InfrastructureError for a refusal."""
        reply = self._reply(timeout)
        return None if reply is None else self._result(reply)

    def _result(self, reply: _Reply) -> str:
        if reply.result is None:
            raise self._failed(f"refuses {reply.asked}: {reply.error}")
        return reply.result

    def _reply(self, timeout: float) -> _Reply | None:
        deadline = monotonic() + timeout
        while True:
            try:
                reply, end = _json.raw_decode(self._received)
            except ValueError:
                if not self._receive(deadline - monotonic()):
                    return None
                continue
            self._received = self._received[end:].lstrip()
            asked, error = self._sent.pop(0), reply["error"]
            if error is not None:
                return _Reply(asked, None, " ".join(str(error).split()))
            return _Reply(asked, str(reply["result"]))

    def _expected(self) -> _Reply:
        found = self._reply(self.timeout)
        if found is None:
            raise self._failed(f"gave no answer to {self._sent[0]} within {self.timeout:g} s: it is busy or hangs")
        return found

    def _receive(self, seconds: float) -> bool:
        """Take in what came, for up to so many seconds; whether anything did."""
        if seconds <= 0:
            return False
        self._socket.settimeout(seconds)
        try:
            chunk = self._socket.recv(RECEIVE_SIZE)
        except TimeoutError:
            return False
        except OSError as error:
            raise self._failed(f"does not answer: {error.strerror or error}") from error
        if not chunk:
            raise self._failed(f"hung up at {self._sent[0]}; see its log")
        self._received += self._decoder.decode(chunk)
        return True

    def _failed(self, why: str) -> InfrastructureError:
        return InfrastructureError(f"{self.path}: ovs-vswitchd {why}")


def control_socket(rundir: Path, timeout: float, wrap: SocketWrapper | None = None) -> ControlSocket:
    """A connection to the ovs-vswitchd that runs in ``rundir``. Raises InfrastructureError when none can be asked."""
    for path in control_sockets(rundir):
        try:
            found = ControlSocket(path, timeout, wrap)
        except InfrastructureError:
            continue
        _answered[rundir] = path
        return found
    raise InfrastructureError(
        f"no control socket of ovs-vswitchd answers in {rundir}: check that it runs, and run as root"
    )


def control_sockets(rundir: Path) -> Iterator[Path]:
    """The one that answered last, then the running daemon's ``ovs-vswitchd.PID.ctl``, then what ``--unixctl`` named."""
    if rundir in _answered:
        yield _answered[rundir]
    with suppress(FileNotFoundError):
        yield rundir / f"ovs-vswitchd.{(rundir / 'ovs-vswitchd.pid').read_bytes().strip().decode()}.ctl"
    yield from sorted(rundir.glob("ovs-vswitchd*.ctl"))
