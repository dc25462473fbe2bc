"""Turns a bridge into whether its ovs-vswitchd answers, and if not, why. Nothing here raises: dead is a value.

A local bridge is asked on its management socket: OpenFlow switches speak first, so a vswitchd that runs says HELLO at
once, and one that hangs says nothing. For a remote bridge its OVSDB is asked who holds the lock that every running
ovs-vswitchd holds (``ovs_vswitchd``, see ovs-vswitchd(8) and RFC 7047 §4.1.8); nothing is written.
"""

import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.model.topology import Bridge, ManagementSocket, ServiceController
from vtrace_ovs.ovsdb.client import OvsdbClient, TlsFiles

VSWITCHD_LOCK = "ovs_vswitchd"


@dataclass(frozen=True, slots=True)
class Liveness:
    """Whether ovs-vswitchd answers for a bridge; ``reason`` is one sentence, also when it does."""

    alive: bool
    reason: str


def probe(bridge: Bridge, timeout: float, tls: TlsFiles | None = None) -> Liveness:
    """Ask once, for at most ``timeout`` seconds."""
    attachment = bridge.attachment
    match attachment:
        case ManagementSocket(path):
            return _probe_socket(f"{bridge.id}", path, timeout)
        case ServiceController(ovsdb):
            return _probe_lock(f"{bridge.id}", ovsdb, timeout, tls)
        case _:
            assert_never(attachment)


def _probe_socket(bridge: str, path: str, timeout: float) -> Liveness:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            greeting = connection.recv(1)
    except ConnectionResetError:
        greeting = b""
    except TimeoutError:
        return Liveness(alive=False, reason=f"{bridge}: ovs-vswitchd holds {path} but does not answer; it hangs")
    except OSError as error:
        return Liveness(alive=False, reason=_socket_reason(bridge, path, error))
    if not greeting:
        return Liveness(alive=False, reason=f"{bridge}: ovs-vswitchd closed {path} as we came; it is ending")
    return Liveness(alive=True, reason=f"{bridge}: ovs-vswitchd answers on {path}")


def _socket_reason(bridge: str, path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT and Path(path).parent.is_dir():
        return f"{bridge}: {path} does not exist: ovs-vswitchd does not run there, or the bridge is gone"
    if error.errno == errno.ENOENT:
        return f"{bridge}: {path} does not exist: no Open vSwitch run directory there"
    if error.errno == errno.ECONNREFUSED:
        return f"{bridge}: nobody listens on {path} any more: ovs-vswitchd died without cleaning up"
    if error.errno == errno.EACCES:
        return f"{bridge}: no permission to open {path}; run as root, or join the group that owns it"
    return f"{bridge}: cannot open {path}: {error.strerror}"


def _probe_lock(bridge: str, ovsdb: str, timeout: float, tls: TlsFiles | None) -> Liveness:
    try:
        with OvsdbClient(ovsdb, timeout, tls) as client:
            held = client.lock_is_held(VSWITCHD_LOCK)
    except OvsdbError as error:
        return Liveness(alive=False, reason=f"{bridge}: {error}")
    if held:
        return Liveness(alive=True, reason=f"{bridge}: an ovs-vswitchd is connected to {ovsdb}")
    return Liveness(alive=False, reason=f"{bridge}: no ovs-vswitchd is connected to {ovsdb}")
