"""Turns a VM into one end of real traffic: run as a program in its namespace, it sends or answers, and counts.

    endpoint listen PROTOCOL PORT SOURCE        (the family of the addresses is that of the traffic)
    endpoint send   PROTOCOL PORT DESTINATION RATE COUNT DSCP TIMEOUT SOURCE_PORT SIZE

Both print ``ready`` when they are, and their counts as one JSON line when they are done, get SIGTERM or their standard
input ends. PORT and SOURCE_PORT 0 mean none or any; COUNT 0 means until stopped; SIZE is in bytes of payload. Standard
library only, so that it starts fast.
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

PROTOCOL_NUMBERS = {"icmp": socket.IPPROTO_ICMP, "tcp": socket.IPPROTO_TCP, "tcp-stream": 6, "udp": 17, "sctp": 132}
ECHO_REQUEST, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
ICMP_NUMBERS = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
AT_ONCE, USUALLY = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""How a connection is closed: ``struct linger`` of socket(7)."""
ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - the namespace is the fence
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
        self._version = version_of(source)
        number = ICMP_NUMBERS[self._version] if protocol == "icmp" else PROTOCOL_NUMBERS[protocol]
        kernel = socket.socket(FAMILIES[self._version], socket.SOCK_RAW, number)
        kernel.setblocking(False)
        if self._version == 6:  # noqa: PLR2004 - IPv6
            kernel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        self._socket = kernel
        self._source = socket.inet_pton(FAMILIES[self._version], source)
        asyncio.get_running_loop().add_reader(kernel, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            source, tos, segment = self._packet4() if self._version == 4 else self._packet6()  # noqa: PLR2004 - IPv4
            if source == self._source and self._ours(segment):
                self._counts.received += 1
                self._counts.dscps.add(tos >> 2)

    def _packet4(self) -> tuple[bytes, int, bytes]:
        """Source, TOS byte and what is behind the header: a raw socket of IPv4 gives the header too."""
        packet = self._socket.recv(2048)
        return packet[12:16], packet[1], packet[(packet[0] & 0x0F) * 4 :]

    def _packet6(self) -> tuple[bytes, int, bytes]:
        """The same of IPv6, where the traffic class comes beside the packet (RFC 3542 §6.5)."""
        segment, beside, _flags, address = self._socket.recvmsg(2048, socket.CMSG_SPACE(4))
        classes = [int.from_bytes(value, sys.byteorder) for _level, kind, value in beside if kind == socket.IPV6_TCLASS]
        return socket.inet_pton(socket.AF_INET6, address[0]), classes[0] if classes else 0, segment

    def _ours(self, segment: bytes) -> bool:
        if self._protocol == "icmp":
            return segment[0] == ECHO_REQUEST[self._version]
        return int.from_bytes(segment[2:4]) == self._port


def version_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


async def listen(protocol: str, port: int, source: str) -> None:
    """Answer on ``port`` (ICMP: the kernel does) and count what arrives from ``source`` until SIGTERM."""
    counts = Counts()
    Witness(counts, protocol, port, source)
    loop = asyncio.get_running_loop()
    if protocol.startswith("tcp"):
        await asyncio.start_server(_echo_stream, host=ANY[version_of(source)], port=port)
    elif protocol == "udp":
        await loop.create_datagram_endpoint(EchoDatagrams, sock=_datagrams_of(version_of(source), port))
    stopped = _stop_event()
    _say_ready()
    await stopped.wait()
    counts.print()


def _datagrams_of(version: int, port: int) -> socket.socket:
    """A port of one family only, so that the other may have it too; asyncio sees to that for streams."""
    bound = socket.socket(FAMILIES[version], socket.SOCK_DGRAM)
    bound.setblocking(False)
    if version == 6:  # noqa: PLR2004 - IPv6
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.bind((ANY[version], port))
    return bound


async def _echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Python 3.11 prints a traceback for each stream cancelled at the end: more than the pipe takes.
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
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

    def __init__(self, destination: str, port: int, dscp: int, timeout: float, source_port: int, size: int) -> None:
        self.counts = Counts()
        self._destination = destination
        self._version = version_of(destination)
        self._port = port
        self._tos = dscp << 2
        self._timeout = timeout
        self._source_port = source_port
        self._message = MESSAGE.ljust(size, b".")
        self._answer = asyncio.Event()

    def _socket(self, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        end = socket.socket(FAMILIES[self._version], kind, protocol)
        if self._version == 4:  # noqa: PLR2004 - IPv4
            end.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._tos)
        else:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self._tos)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._source_port:
            end.bind(("", self._source_port))
        end.setblocking(False)
        return end

    async def icmp(self, ticks: AsyncIterator[int]) -> None:
        """Echo requests of one identifier, numbered from 1."""
        loop = asyncio.get_running_loop()
        with self._socket(socket.SOCK_RAW, ICMP_NUMBERS[self._version]) as end:
            identifier = os.getpid() & 0xFFFF
            loop.add_reader(end, self._echo_reply, end, identifier)
            async for number in ticks:
                end.sendto(echo_request(self._version, identifier, number, self._message), (self._destination, 0))
                self.counts.sent += 1
            await self._last_answers()
            loop.remove_reader(end)

    def _echo_reply(self, end: socket.socket, identifier: int) -> None:
        with contextlib.suppress(BlockingIOError):
            packet = end.recv(2048)
            header = (packet[0] & 0x0F) * 4 if self._version == 4 else 0  # noqa: PLR2004 - IPv4
            kind, _code, _sum, ident = struct.unpack_from("!BBHH", packet, header)
            if kind == ECHO_REPLY[self._version] and ident == identifier:
                self._answered()

    async def udp(self, ticks: AsyncIterator[int]) -> None:
        """Datagrams of one five-tuple."""
        loop = asyncio.get_running_loop()
        with self._socket(socket.SOCK_DGRAM) as end:
            end.connect((self._destination, self._port))
            loop.add_reader(end, self._datagram_reply, end)
            async for number in ticks:
                with contextlib.suppress(ConnectionError):  # an ICMP answer to the datagram before
                    end.send(self._message + number.to_bytes(4))
                self.counts.sent += 1
            await self._last_answers()
            loop.remove_reader(end)

    def _datagram_reply(self, end: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            end.recv(2048)
            self._answered()

    async def sctp(self, ticks: AsyncIterator[int]) -> None:
        """INIT chunks (RFC 9260 §3.3.2) of one association; no kernel here speaks SCTP, so nothing answers."""
        with self._socket(socket.SOCK_RAW, PROTOCOL_NUMBERS["sctp"]) as end:
            async for number in ticks:
                chunk = struct.pack("!BBHIIHHI", 1, 0, 20, number, 65535, 1, 1, number)
                ports = struct.pack("!HHII", self._source_port or self._port, self._port, 0, 0)
                end.sendto(ports + chunk, (self._destination, 0))
                self.counts.sent += 1

    async def tcp(self, ticks: AsyncIterator[int]) -> None:
        """A connection per probe: connect, one message there and back, close."""
        async with asyncio.TaskGroup() as connections:
            async for _ in ticks:
                self.counts.sent += 1
                connections.create_task(self._connection())

    async def _connection(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError, OSError), self._socket(socket.SOCK_STREAM) as end:
            # Given up without an answer, it is reset: the kernel would send what was lost again for minutes.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            async with asyncio.timeout(self._timeout):
                await loop.sock_connect(end, (self._destination, self._port))
                await loop.sock_sendall(end, self._message)
                answer = await loop.sock_recv(end, 2048)
                self.counts.replies += answer == self._message
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, USUALLY)

    async def tcp_stream(self, ticks: AsyncIterator[int]) -> None:
        """All messages on one connection; each waits for its answer."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError, OSError), self._socket(socket.SOCK_STREAM) as end:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            async with asyncio.timeout(self._timeout):
                await loop.sock_connect(end, (self._destination, self._port))
            async for _ in ticks:
                self.counts.sent += 1
                async with asyncio.timeout(self._timeout):
                    await loop.sock_sendall(end, self._message)
                    answer = await loop.sock_recv(end, 2048)
                    self.counts.replies += answer == self._message
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, USUALLY)

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


def echo_request(version: int, identifier: int, number: int, message: bytes = MESSAGE) -> bytes:
    """An ICMP echo request with its checksum (RFC 792, RFC 1071); that of ICMPv6 the kernel writes (RFC 3542 §3.1)."""

    def packet(checksum: int) -> bytes:
        return struct.pack("!BBHHH", ECHO_REQUEST[version], 0, checksum, identifier, number & 0xFFFF) + message

    words = packet(0) + bytes(len(message) % 2)
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
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
        "sctp": sender.sctp,
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
    rate, count, dscp, timeout, source_port, size = rest
    sender = Sender(peer, int(port), int(dscp), float(timeout), int(source_port), int(size))
    asyncio.run(send(protocol, sender, float(rate), int(count)))


if __name__ == "__main__":
    main(sys.argv[1:])
