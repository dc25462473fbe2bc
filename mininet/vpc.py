"""Turns a topology file into a Mininet network: ``mn --custom mininet/vpc.py --topo vpc --controller none``.

VMs, servers and underlay switches are Mininet hosts, so ``blue-web1 ping 10.0.2.22`` and ``cs1 ovs-vsctl show`` work at
the ``mininet>`` prompt. One more node, ``overlay``, is there for Mininet to start and stop: it wires up all the others.
``--topo vpc,NAME`` takes another shipped topology or the path of a ``.toml`` file.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from mininet.cli import CLI
from mininet.node import Node, Switch
from mininet.topo import Topo

from vtrace_ovs.lab.namespaces import Namespace, adopt
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import DEFAULT_TOPOLOGY, load_topology

CLI.identchars += "-"  # names such as blue-web1 are words at the prompt


class OverlayNode(Node):  # type: ignore[misc] # Mininet has no types
    """A node of the overlay; the lab finds it here by name."""

    adopted: dict[str, Namespace] = {}  # noqa: RUF012 - one network per mn process

    def __init__(self, name: str, **parameters: object) -> None:
        super().__init__(name, **parameters)
        self.adopted[name] = adopt(self)
        directory = Overlay.place / name
        self.cmd(f"export OVS_RUNDIR={directory} OVS_DBDIR={directory} OVS_LOGDIR={directory}")


class Overlay(Switch):  # type: ignore[misc] # Mininet has no types
    """What Mininet starts and stops: the lab."""

    place = Path(tempfile.gettempdir()) / f"vtrace-mn-{os.getpid()}"

    def __init__(self, name: str, topology: str, **parameters: object) -> None:
        super().__init__(name, **parameters)
        self.lab = Lab(load_topology(topology), self.place, OverlayNode.adopted)

    def start(self, _controllers: object) -> None:
        """Wire everything up."""
        self.lab.up()

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803 - Mininet's name
        """Take everything down."""
        self.lab.down()
        super().stop(deleteIntfs)


class VpcTopo(Topo):  # type: ignore[misc] # Mininet has no types
    """Every server, underlay switch and VM of a topology, without links: the lab cables them."""

    def build(self, topology: str = DEFAULT_TOPOLOGY, **_options: Any) -> None:  # noqa: ANN401 - Mininet's
        """Called by Mininet with what follows ``--topo vpc,``."""
        overlay = load_topology(topology)
        names = [server.name for server in overlay.servers] + list(overlay.underlay.switches)
        for name in (*names, *(vm.name for vm in overlay.vms())):
            self.addHost(name, cls=OverlayNode)
        self.addSwitch("overlay", cls=Overlay, topology=topology, dpid="1ab0")


topos = {"vpc": VpcTopo}
