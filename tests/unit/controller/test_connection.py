import socket
import threading
from collections.abc import Iterator

import pytest

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.controller.connection import Connection

DEADLINE = 60.0


class Side:
    """What a connection tells its owner."""

    def __init__(self, sock: socket.socket) -> None:
        self.chunks: list[tuple[Message, ...]] = []
        self.reasons: list[str] = []
        self.got = threading.Event()
        self.lost = threading.Event()
        self.connection = Connection(sock, self._deliver, self._lost)

    def _deliver(self, received: tuple[Message, ...]) -> None:
        self.chunks.append(received)
        self.got.set()

    def _lost(self, reason: str) -> None:
        self.reasons.append(reason)
        self.lost.set()


@pytest.fixture
def ends() -> Iterator[tuple[Side, socket.socket]]:
    mine, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE)
    side = Side(mine)
    side.connection.start()
    yield side, theirs
    side.connection.close()
    theirs.close()


def test_a_connection_that_is_closed_before_it_starts_leaves_nothing_open() -> None:
    mine, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE)
    side = Side(mine)
    side.connection.close()
    side.connection.start()
    assert mine.fileno() == -1
    assert theirs.recv(1) == b""
    theirs.close()


def test_bytes_leave_in_order(ends: tuple[Side, socket.socket]) -> None:
    side, bridge = ends
    for octet in b"abc":
        side.connection.send(bytes([octet]))
    received = b""
    while len(received) < 3:
        received += bridge.recv(16)
    assert received == b"abc"


def test_a_message_cut_in_two_is_delivered_once_and_whole(ends: tuple[Side, socket.socket]) -> None:
    side, bridge = ends
    request = openflow.echo_request(7, b"payload")
    bridge.sendall(request[:5])
    bridge.sendall(request[5:] + openflow.hello(8)[:3])
    assert side.got.wait(DEADLINE)
    (message,) = side.chunks[0]
    assert (message.type, message.xid, message.body) == (MessageType.ECHO_REQUEST, 7, b"payload")


def test_the_other_side_hanging_up_is_told_once(ends: tuple[Side, socket.socket]) -> None:
    side, bridge = ends
    bridge.close()
    assert side.lost.wait(DEADLINE)
    side.connection.close()
    assert side.reasons == ["the connection was closed"]


def test_a_stream_that_cannot_be_followed_ends_the_connection(ends: tuple[Side, socket.socket]) -> None:
    side, bridge = ends
    bridge.sendall(b"\x04\x00\x00\x01\x00\x00\x00\x00")
    assert side.lost.wait(DEADLINE)
    assert "less than its header" in side.reasons[0]
    assert bridge.recv(16) == b""


def test_hanging_up_ourselves_is_no_loss(ends: tuple[Side, socket.socket]) -> None:
    side, bridge = ends
    side.connection.close()
    assert bridge.recv(16) == b""
    side.connection.send(b"too late")
    assert side.reasons == []
