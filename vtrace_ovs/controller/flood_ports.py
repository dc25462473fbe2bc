"""Turns a local bridge into the ports that floods leave out, over a connection of its own that speaks OpenFlow 1.0."""

import socket
from time import monotonic

from vtrace_ovs.codecs.framing import MessageType, messages
from vtrace_ovs.codecs.openflow10 import greeting, is_features, no_flood_ports
from vtrace_ovs.errors import CodecError

RECEIVE_SIZE = 1 << 16


def read_no_flood_ports(path: str, timeout: float) -> frozenset[int] | None:
    """The ports of the bridge behind this management socket; None when it does not tell within ``timeout`` seconds.

    A bridge whose ``protocols`` leave out OpenFlow 1.0 refuses the greeting, and does not tell.
    """
    deadline = monotonic() + timeout
    pending = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(greeting())
            while monotonic() < deadline and (chunk := connection.recv(RECEIVE_SIZE)):
                received, pending = messages(pending + chunk)
                for message in received:
                    if is_features(message):
                        return no_flood_ports(message)
                    if message.type == MessageType.ERROR:
                        return None
    except (OSError, CodecError):
        pass
    return None
