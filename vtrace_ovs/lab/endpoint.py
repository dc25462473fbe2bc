"""Turns a VM into one end of real traffic: run as a program in its namespace, it sends or answers, and counts.

    endpoint listen PROTOCOL PORT SOURCE
    endpoint send   PROTOCOL PORT DESTINATION RATE COUNT DSCP TIMEOUT SOURCE_PORT

Both print ``ready`` when they are, and their counts as one JSON line when they are done, get SIGTERM or their standard
input ends. PORT and SOURCE_PORT 0 mean none or any; COUNT 0 means until stopped. Standard library only, so that it
starts fast.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

PROTOCOL_NUMBERS = {"icmp": socket.IPPROTO_ICMP, "tcp": socket.IPPROTO_TCP, "tcp-stream": 6, "udp": 17}
ECHO_REQUEST, ECHO_REPLY = 8, 0
MESSAGE = b"vtrace lab probe"


class Counts:
    """What one end has seen so far."""

    def __init__(self) -> None:
        self.sent = 0
        self.replies = 0
        self.received = 0
        self.dscps: set[int] = set()

    def print(self) -> None:
        """One JSON line on standard output."""
        counts = {"sent": self.sent, "replies": self.replies, "received": self.received, "dscps": sorted(self.dscps)}
        sys.stdout.write(json.dumps(counts) + "\n")
        sys.stdout.flush()


class Witness:
    """Counts the packets of one sender as the kernel received them, with their DSCP: a raw socket sees them all."""

    def __init__(self, counts: Counts, protocol: str, port: int, source: str) -> None:
        self._counts = counts
        self._protocol = protocol
        self._port = port
        kernel = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL_NUMBERS[protocol])
        kernel.setblocking(False)
        self._socket = kernel
        self._source = socket.inet_aton(source)
        asyncio.get_running_loop().add_reader(kernel, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            packet = self._socket.recv(2048)
            header = (packet[0] & 0x0F) * 4
            if packet[12:16] == self._source and self._ours(packet[header:]):
                self._counts.received += 1
                self._counts.dscps.add(packet[1] >> 2)

    def _ours(self, segment: bytes) -> bool:
        if self._protocol == "icmp":
            return segment[0] == ECHO_REQUEST
        return int.from_bytes(segment[2:4]) == self._port


async def listen(protocol: str, port: int, source: str) -> None:
    """Answer on ``port`` (ICMP: the kernel does) and count what arrives from ``source`` until SIGTERM."""
    counts = Counts()
    Witness(counts, protocol, port, source)
    loop = asyncio.get_running_loop()
    if protocol.startswith("tcp"):
        await asyncio.start_server(_echo_stream, host="0.0.0.0", port=port)  # noqa: S104 - the namespace is the fence
    elif protocol == "udp":
        await loop.create_datagram_endpoint(EchoDatagrams, local_addr=("0.0.0.0", port))  # noqa: S104 - as above
    stopped = _stop_event()
    _say_ready()
    await stopped.wait()
    counts.print()


async def _echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while message := await reader.read(2048):
            writer.write(message)
            await writer.drain()
        writer.close()


class EchoDatagrams(asyncio.DatagramProtocol):
    """Sends every datagram back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer with."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer."""
        self._transport.sendto(data, address)


class Sender:
    """Sends probes to one destination at a rate and counts the answers."""

    def __init__(self, destination: str, port: int, dscp: int, timeout: float, source_port: int) -> None:
        self.counts = Counts()
        self._destination = destination
        self._port = port
        self._tos = dscp << 2
        self._timeout = timeout
        self._source_port = source_port
        self._answer = asyncio.Event()

    def _socket(self, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        end = socket.socket(socket.AF_INET, kind, protocol)
        end.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._tos)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._source_port:
            end.bind(("", self._source_port))
        end.setblocking(False)
        return end

    async def icmp(self, ticks: AsyncIterator[int]) -> None:
        """Echo requests of one identifier, numbered from 1."""
        loop = asyncio.get_running_loop()
        with self._socket(socket.SOCK_RAW, socket.IPPROTO_ICMP) as end:
            identifier = os.getpid() & 0xFFFF
            loop.add_reader(end, self._echo_reply, end, identifier)
            async for number in ticks:
                end.sendto(echo_request(identifier, number), (self._destination, 0))
                self.counts.sent += 1
            await self._last_answers()
            loop.remove_reader(end)

    def _echo_reply(self, end: socket.socket, identifier: int) -> None:
        with contextlib.suppress(BlockingIOError):
            packet = end.recv(2048)
            kind, _code, _sum, ident = struct.unpack_from("!BBHH", packet, (packet[0] & 0x0F) * 4)
            if kind == ECHO_REPLY and ident == identifier:
                self._answered()

    async def udp(self, ticks: AsyncIterator[int]) -> None:
        """Datagrams of one five-tuple."""
        loop = asyncio.get_running_loop()
        with self._socket(socket.SOCK_DGRAM) as end:
            end.connect((self._destination, self._port))
            loop.add_reader(end, self._datagram_reply, end)
            async for number in ticks:
                with contextlib.suppress(ConnectionError):  # an ICMP answer to the datagram before
                    end.send(MESSAGE + number.to_bytes(4))
                self.counts.sent += 1
            await self._last_answers()
            loop.remove_reader(end)

    def _datagram_reply(self, end: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            end.recv(2048)
            self._answered()

    async def tcp(self, ticks: AsyncIterator[int]) -> None:
        """A connection per probe: connect, one message there and back, close."""
        async with asyncio.TaskGroup() as connections:
            async for _ in ticks:
                self.counts.sent += 1
                connections.create_task(self._connection())

    async def _connection(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError, OSError), self._socket(socket.SOCK_STREAM) as end:
            async with asyncio.timeout(self._timeout):
                await loop.sock_connect(end, (self._destination, self._port))
                await loop.sock_sendall(end, MESSAGE)
                answer = await loop.sock_recv(end, 2048)
                self.counts.replies += answer == MESSAGE

    async def tcp_stream(self, ticks: AsyncIterator[int]) -> None:
        """All messages on one connection; each waits for its answer."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError, OSError), self._socket(socket.SOCK_STREAM) as end:
            async with asyncio.timeout(self._timeout):
                await loop.sock_connect(end, (self._destination, self._port))
            async for _ in ticks:
                self.counts.sent += 1
                async with asyncio.timeout(self._timeout):
                    await loop.sock_sendall(end, MESSAGE)
                    answer = await loop.sock_recv(end, 2048)
                    self.counts.replies += answer == MESSAGE

    def _answered(self) -> None:
        self.counts.replies += 1
        self._answer.set()

    async def _last_answers(self) -> None:
        """Wait for answers under way: until all are there, at most the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                while self.counts.replies < self.counts.sent:
                    self._answer.clear()
                    await self._answer.wait()


def echo_request(identifier: int, number: int) -> bytes:
    """An ICMP echo request with its checksum (RFC 792, RFC 1071)."""

    def packet(checksum: int) -> bytes:
        return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum, identifier, number & 0xFFFF) + MESSAGE

    total = sum(struct.unpack(f"!{len(packet(0)) // 2}H", packet(0)))
    total = (total & 0xFFFF) + (total >> 16)
    return packet(~(total + (total >> 16)) & 0xFFFF)


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _stop_event() -> asyncio.Event:
    """Set by SIGTERM, and when standard input ends: then whoever started this program is gone."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def lifeline_cut() -> None:
        loop.remove_reader(0)
        stopped.set()

    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_reader(0, lifeline_cut)
    return stopped


async def _ticks(rate: float, count: int, stopped: asyncio.Event) -> AsyncIterator[int]:
    """1, 2, 3 … at ``rate`` per second, ``count`` of them (0: no end), until stopped."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in itertools.count(1) if count == 0 else range(1, count + 1):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(start + (number - 1) / rate):
                await stopped.wait()
        if stopped.is_set():
            return
        yield number


async def send(protocol: str, sender: Sender, rate: float, count: int) -> None:
    """Send until done or SIGTERM, then print the counts."""
    stopped = _stop_event()
    _say_ready()
    kinds: dict[str, Callable[[AsyncIterator[int]], Awaitable[None]]] = {
        "icmp": sender.icmp,
        "udp": sender.udp,
        "tcp": sender.tcp,
        "tcp-stream": sender.tcp_stream,
    }
    await kinds[protocol](_ticks(rate, count, stopped))
    sender.counts.print()


def main(arguments: list[str]) -> None:
    """Read the arguments (see the module's docstring) and run."""
    verb, protocol, port, peer, *rest = arguments
    if verb == "listen":
        asyncio.run(listen(protocol, int(port), peer))
        return
    rate, count, dscp, timeout, source_port = rest
    sender = Sender(peer, int(port), int(dscp), float(timeout), int(source_port))
    asyncio.run(send(protocol, sender, float(rate), int(count)))


if __name__ == "__main__":
    main(sys.argv[1:])
