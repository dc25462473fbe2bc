"""What our OVSDB client makes of bytes as they may come, from a peer that only speaks JSON-RPC."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from vtrace_ovs.ovsdb.client import OvsdbClient

TIMEOUT = 60.0
RECEIVE_SIZE = 4096


def answer_with_a_notification_each(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    waiting = ""
    with connection:
        while chunk := connection.recv(RECEIVE_SIZE):
            waiting += chunk.decode()
            while waiting:
                request, end = json.JSONDecoder().raw_decode(waiting)
                waiting = waiting[end:]
                result = {"locked": False} if request["method"] == "lock" else {}
                notification = {"method": "locked", "params": ["ovs_vswitchd"], "id": None}
                answer = {"id": request["id"], "result": result, "error": None}
                connection.sendall((json.dumps(notification) + json.dumps(answer)).encode())


@pytest.fixture
def talkative() -> Iterator[str]:
    """A peer that sends a notification and the answer behind it in one piece."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = threading.Thread(target=answer_with_a_notification_each, args=(listener,))
        peer.start()
        yield f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        peer.join(TIMEOUT)


def test_an_answer_behind_a_notification_is_not_waited_for_again(talkative: str) -> None:
    with OvsdbClient(talkative, TIMEOUT) as client:
        assert not client.lock_is_held("ovs_vswitchd"), "it was granted by the notification"
