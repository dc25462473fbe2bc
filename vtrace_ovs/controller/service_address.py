"""Turns ``tcp:IP:PORT``, as the operator writes it, into a listening socket and the target that remote bridges dial."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from vtrace_ovs.errors import InfrastructureError, UsageError

HIGHEST_PORT = 65535
# A bridge that vanished without a word is noticed after this long without an acknowledgement (ms; tcp(7)).
SILENCE_LIMIT = 10_000
NO_ADDRESS = "it is remote and dials us, but there is no address to dial: give --listen tcp:IP:PORT, or VTRACE_LISTEN"


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """An address of this host that remote bridges can reach. ``port`` 0: any free one."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> "ServiceAddress":
        """From ``tcp:IP:PORT`` or ``tcp:[IPV6]:PORT``. Raises UsageError; ``0.0.0.0`` cannot be dialled."""
        method, _, place = text.partition(":")
        host, _, port = place.rpartition(":")
        try:
            address = ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError:
            address = None
        if method != "tcp" or address is None or not port.isdecimal() or int(port) > HIGHEST_PORT:
            raise UsageError(f"{text!r} is no address to listen on: write tcp:IP:PORT, e.g. tcp:192.0.2.1:6653")
        if address.is_unspecified:
            raise UsageError(f"{text!r}: remote bridges must dial it, so name one address of this host, not all")
        return ServiceAddress(str(address), int(port))

    def listen(self) -> socket.socket:
        """A listening socket. Raises InfrastructureError when the address is not ours or already in use."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=socket.SOMAXCONN)
        except OSError as error:
            raise InfrastructureError(
                f"cannot listen on {_target(self.host, self.port)} ({error.strerror}): "
                "give a free port and an address of this host: --listen tcp:IP:PORT"
            ) from None


def target_of(listening: socket.socket) -> str:
    """What a bridge must dial to reach this socket, as ovs-vswitchd.conf.db(5), Controller ``target``, has it."""
    host, port = listening.getsockname()[:2]
    return _target(host, port)


def prepare(accepted: socket.socket) -> socket.socket:
    """Make a bridge's connection prompt, and notice when the bridge is gone without a word."""
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_LIMIT)
    return accepted


def _target(host: str, port: int) -> str:
    return f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"
