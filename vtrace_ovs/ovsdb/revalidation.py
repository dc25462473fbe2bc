"""Turns one round of ovs-vswitchd's revalidators into a return, over its control socket (``revalidator/wait``).

JSON-RPC over a Unix socket, as ovs-appctl(8) speaks it; python-ovs's client cannot say when a request has been sent.
"""

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from vtrace_ovs.model.topology import Bridge, ManagementSocket
from vtrace_ovs.ovsdb.ofproto_trace import control_sockets

REQUEST = json.dumps({"id": 0, "method": "revalidator/wait", "params": []}).encode()
RECEIVE_SIZE = 4096
NUDGE_INTERVAL = 0.004
NOTHING = b'{"error": "closed"}'


def wait_round(bridge: Bridge, nudge: Callable[[], None], timeout: float) -> bool:
    """Wait until the revalidators have been over all datapath flows once after they were asked.

    A round begins by itself twice a second, and at once when a flow changes: ``nudge`` changes one, again and again
    until the answer comes, as a round that was over before the question arrived does not count. False when they cannot
    be asked within ``timeout`` seconds: a remote bridge, no permission, a daemon that hangs.
    """
    if not isinstance(bridge.attachment, ManagementSocket):
        return False
    return any(
        _asked(path, nudge, monotonic() + timeout) for path in control_sockets(Path(bridge.attachment.path).parent)
    )


def _asked(path: Path, nudge: Callable[[], None], deadline: float) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(max(NUDGE_INTERVAL, deadline - monotonic()))
            connection.connect(str(path))
            connection.sendall(REQUEST)
            connection.settimeout(NUDGE_INTERVAL)
            answer = b""
            while not (reply := _whole(answer)) and monotonic() < deadline:
                nudge()
                with suppress(TimeoutError):
                    answer += connection.recv(RECEIVE_SIZE) or NOTHING
    except OSError:
        return False
    return reply == "done"


def _whole(answer: bytes) -> str:
    """``done`` or ``refused`` once the answer is whole, empty before."""
    try:
        reply = json.loads(answer)
    except ValueError:
        return ""
    return "done" if isinstance(reply, dict) and reply.get("error") is None else "refused"
