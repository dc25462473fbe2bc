"""Turns names into Mininet nodes (a shell in a network namespace each) and cables (veth pairs) between them."""

import subprocess
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vtrace_ovs.errors import LabError

COMMAND_DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class Namespace:
    """A Mininet node: ``pid`` is its shell, whose network namespace is the node's."""

    name: str
    pid: int
    node: Any

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command so that it runs in this node."""
        return ("mnexec", "-a", str(self.pid))

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a command in this node and return its output. Raises LabError with the command's own words."""
        done = subprocess.run(
            [*self.prefix, *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_DEADLINE,
        )
        if done.returncode:
            raise LabError(f"{self.name}: {' '.join(command)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def end(self) -> None:
        """End the node's shell; the namespace goes with its last process."""
        self.node.terminate()


def mininet_node(name: str) -> Namespace:
    """A new Mininet node in its own network namespace. Raises LabError when Mininet is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Mininet 2.3.0 still imports distutils
        try:
            from mininet.node import Node  # noqa: PLC0415 - an optional dependency, needed only by the lab
        except ImportError as missing:
            raise LabError(f"Mininet cannot be imported ({missing}): pip install 'vtrace-ovs[lab]'") from missing
    return adopt(Node(name, inNamespace=True))


def adopt(node: Any) -> Namespace:  # noqa: ANN401 - Mininet has no types
    """A Mininet node that already runs."""
    return Namespace(str(node.name), int(node.pid), node)


@dataclass(frozen=True, slots=True)
class Plug:
    """One end of a cable: the node's pid and the interface's name there; ``mac`` None lets the kernel choose."""

    pid: int
    interface: str
    mac: str | None = None


def cable(pairs: Iterable[tuple[Plug, Plug]]) -> None:
    """Make a veth pair for each pair of plugs, each end born in its namespace. Raises LabError."""
    from pyroute2 import IPRoute, NetlinkError  # noqa: PLC0415 - a third of a second that only a new lab pays

    with IPRoute() as route:
        for one, other in pairs:
            try:
                route.link(
                    "add",
                    kind="veth",
                    ifname=one.interface,
                    net_ns_pid=one.pid,
                    **_address(one),
                    peer={"ifname": other.interface, "net_ns_pid": other.pid, **_address(other)},
                )
            except NetlinkError as refused:
                raise LabError(f"cable {one.interface}-{other.interface}: {refused}") from refused


def _address(plug: Plug) -> dict[str, str]:
    return {"address": plug.mac} if plug.mac else {}


def shell(*lines: str) -> Sequence[str]:
    """The command that runs these lines and stops at the first that fails."""
    return ("sh", "-ec", "\n".join(lines))
