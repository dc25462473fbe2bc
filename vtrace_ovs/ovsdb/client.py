"""Turns a connection string and OVSDB operations into the results of one transaction (RFC 7047 §4.1.3).

Bytes go over a python-ovs ``Stream`` (unix, tcp, ssl). The python-ovs IDL is not used: it monitors, so it has to fetch
the schema and replicate the tables first, where one transaction of selects is an equally consistent snapshot, ten
times sooner, and leaves nothing registered on a production ovsdb-server.
"""

import errno
import json
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vtrace_ovs.codecs.ovsdb_json import DATABASE, Json
from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.ovsdb.streams import Stream

RECEIVE_SIZE = 1 << 16
ROUND_TRIPS_TO_NOTICE_A_DEATH = 2
_decoder = json.JSONDecoder()
# python-ovs keeps the TLS files in the Stream class, so choosing them and opening must be one step.
_tls_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The PEM files an ``ssl:`` connection needs, as for ``ovs-vsctl -p -c -C``."""

    private_key: Path
    certificate: Path
    ca_certificate: Path


class OvsdbClient:
    """One short-lived connection to one ovsdb-server. ``timeout`` (seconds) bounds the connection's whole life."""

    def __init__(self, connection: str, timeout: float, tls: TlsFiles | None = None) -> None:
        """Connect. Raises OvsdbError naming the server and the remedy."""
        self.connection = connection
        self._deadline = time.monotonic() + timeout
        self._received = b""
        self._next_id = 0
        self._granted: set[str] = set()
        self._stream = self._open(tls)
        try:
            self._finish_connecting()
        except OvsdbError:
            self._stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def databases(self) -> list[Json]:
        """The names of the databases it serves (RFC 7047 §4.1.1)."""
        return self._listed(self._call("list_dbs", []))

    def transact(self, operations: Sequence[Mapping[str, Json]], database: str = DATABASE) -> list[Json]:
        """The result of each operation. Raises OvsdbError when the server refuses any of them; then none happened."""
        results = self._listed(self._call("transact", [database, *operations]))
        for result in results:
            if isinstance(result, Mapping) and "error" in result:
                raise self._refused(_reason(result))
        return results

    def lock_is_held(self, name: str) -> bool:
        """Whether another session holds this lock (RFC 7047 §4.1.8). If nobody does, we hold it for a moment only."""
        answer = self._call("lock", [name])
        if not isinstance(answer, Mapping) or not isinstance(answer.get("locked"), bool):
            raise self._no_ovsdb(answer)
        # A server still busy noticing that the holder died grants the lock a moment later, by a notification; each
        # round trip is at least one turn of its main loop.
        for _ in range(ROUND_TRIPS_TO_NOTICE_A_DEATH):
            self._call("echo", [])
        self._call("unlock", [name])
        return not answer["locked"] and name not in self._granted

    def _open(self, tls: TlsFiles | None) -> Stream:
        target = _resolved(self.connection)
        if not target.startswith("ssl:"):
            return self._opened(*Stream.open(target))
        if tls is None:
            raise OvsdbError(
                f"{self.connection}: an ssl: connection needs a private key, a certificate and a CA file: "
                "set VTRACE_TLS_KEY, VTRACE_TLS_CERT and VTRACE_TLS_CA"
            )
        self._check(tls)
        with _tls_lock:
            Stream.ssl_set_private_key_file(str(tls.private_key))
            Stream.ssl_set_certificate_file(str(tls.certificate))
            Stream.ssl_set_ca_cert_file(str(tls.ca_certificate))
            return self._opened(*Stream.open(target))

    def _check(self, tls: TlsFiles) -> None:
        """Load the files once ourselves: python-ovs would leak its socket on a bad one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(tls.ca_certificate)
            context.load_cert_chain(tls.certificate, tls.private_key)
        except OSError as error:
            raise OvsdbError(
                f"{self.connection}: cannot load the TLS key, certificate or CA ({error}); give readable PEM files"
            ) from error

    def _opened(self, code: int, stream: Stream) -> Stream:
        if code:
            if stream is not None:
                stream.close()
            raise self._unreachable(code)
        return stream

    def _finish_connecting(self) -> None:
        while code := self._stream.connect():
            if code != errno.EAGAIN:
                raise self._unreachable(code)
            # A TCP connection in progress becomes writable; a TLS handshake waits for the peer's bytes.
            self._wait(select.POLLIN | (0 if self._tls_started() else select.POLLOUT))

    def _tls_started(self) -> bool:
        if not self.connection.startswith("ssl:"):
            return False
        try:
            self._stream.socket.getpeername()
        except OSError:
            return False
        return True

    def _listed(self, answer: Json) -> list[Json]:
        if not isinstance(answer, list):
            raise self._no_ovsdb(answer)
        return answer

    def _call(self, method: str, parameters: Sequence[Json]) -> Json:
        self._next_id += 1
        request = {"method": method, "params": parameters, "id": self._next_id}
        self._send(json.dumps(request).encode())
        while True:
            message = self._message()
            if isinstance(message, Mapping) and message.get("method") == "locked":
                self._granted.update(map(str, self._listed(message.get("params"))))
            # A probe ("echo") may come in between; an error reply has no "result" here, although RFC 7047 wants null.
            if isinstance(message, Mapping) and message.get("id") == self._next_id and "method" not in message:
                if message.get("error") is not None:
                    raise self._refused(_reason(message["error"]))
                return message.get("result")

    def _send(self, data: bytes) -> None:
        while data:
            sent = self._stream.send(data)
            if sent >= 0:
                data = data[sent:]
            elif -sent == errno.EAGAIN:
                self._wait(select.POLLOUT)
            else:
                raise self._unreachable(-sent)

    def _message(self) -> Json:
        """The next JSON value. A value is tried only when the bytes could end it, so large answers stay cheap.

        Several may have come at once (a notification and the answer behind it): what is left over is looked at first.
        """
        while True:
            if self._received.endswith(b"}"):
                try:
                    value: Json
                    value, end = _decoder.raw_decode(self._received.decode())
                except ValueError:
                    pass
                else:
                    self._received = self._received.decode()[end:].lstrip().encode()
                    return value
            code, chunk = self._stream.recv(RECEIVE_SIZE)
            if code == errno.EAGAIN:
                self._wait(select.POLLIN)
                continue
            if code or not chunk:
                raise self._unreachable(code or errno.ECONNRESET)
            self._received += chunk
            if not self._received.lstrip().startswith(b"{"):
                raise self._no_ovsdb(self._received[:32])

    def _wait(self, events: int) -> None:
        poll = select.poll()
        poll.register(self._stream.socket, events)
        left = self._deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise OvsdbError(f"{self.connection}: no answer in time; check that an ovsdb-server listens there")

    def _unreachable(self, code: int) -> OvsdbError:
        if self.connection.startswith("ssl:"):
            # python-ovs reports a refused connection and a failed handshake with the same codes.
            why = f"no TLS session ({os.strerror(code)})"
            remedy = "check that a pssl: manager listens there, and the key, the certificate and the CA on both sides"
        elif code == errno.EACCES:
            why, remedy = "permission denied", "run as root, or join the group that owns the socket"
        elif code == errno.ENOENT:
            why, remedy = "no such socket", "check the path (ovs-vsctl show, OVS_RUNDIR) and that ovsdb-server runs"
        else:
            why, remedy = os.strerror(code), "check that ovsdb-server runs and listens there (ovs-vsctl set-manager)"
        return OvsdbError(f"{self.connection}: cannot talk to this OVSDB server: {why}; {remedy}")

    def _refused(self, reason: str) -> OvsdbError:
        remedy = "check that this is the ovsdb-server of ovs-vswitchd and that our role may do this (RBAC, read-only)"
        return OvsdbError(f"{self.connection}: the OVSDB server refuses: {reason}; {remedy}")

    def _no_ovsdb(self, answer: object) -> OvsdbError:
        return OvsdbError(
            f"{self.connection}: what answers there is not an OVSDB server ({answer!r}); "
            "give the database socket (db.sock) or the port of a ptcp:/pssl: manager"
        )


def _reason(error: Json) -> str:
    """An error of RFC 7047 §3.1 as text."""
    if isinstance(error, Mapping):
        return f"{error.get('error')}: {error.get('details', 'no details')}"
    return str(error)


def _resolved(connection: str) -> str:
    """The connection with its host name looked up: python-ovs wants addresses unless it is built with unbound."""
    method, _, place = connection.partition(":")
    if method == "unix":
        return connection
    host, separator, port = place.rpartition(":")
    if method not in {"tcp", "ssl"} or not separator or not port.isdigit():
        raise OvsdbError(
            f"{connection}: not an OVSDB connection; write unix:/path/db.sock, tcp:HOST:PORT or ssl:HOST:PORT"
        )
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, OverflowError) as error:
        raise OvsdbError(f"{connection}: cannot resolve {host}: {error}; check the host name") from error
    family, *_, address = found[0]
    shown = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
    return f"{method}:{shown}:{port}"
