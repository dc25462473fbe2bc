"""Turns an Overlay into a running lab of Mininet nodes and Open vSwitches, and takes it down without a trace."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from vtrace_ovs.errors import LabError, UsageError
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.lab.injection import Faults
from vtrace_ovs.lab.namespaces import Namespace, Plug, cable, mininet_node, shell
from vtrace_ovs.lab.preconditions import check_preconditions, datapath_type
from vtrace_ovs.lab.profile_copies import write_profiles
from vtrace_ovs.lab.server import LabServer, LabSwitch, programs
from vtrace_ovs.lab.state import LabState, NatState, ServerState, VmState
from vtrace_ovs.lab.traffic import Traffic, send_frames
from vtrace_ovs.lab.underlay_pipeline import underlay_program
from vtrace_ovs.lab.wiring import UPLINK, VM_INTERFACE, WiringOptions
from vtrace_ovs.model.overlay import Overlay, OverlaySubnet, OverlayVm
from vtrace_ovs.model.packet import IPAddress, IpFamily, family_of

VM_MTU = {IpFamily.IPV4: 1450, IpFamily.IPV6: 1430}
"""By the family of the underlay: what is left of 1500 bytes behind the outer headers."""
COMMAND_DEADLINE = 60.0
_T = TypeVar("_T")


class Lab(AbstractContextManager["Lab"]):
    """One lab in this process: it lives as long as the process, or until ``down``.

    ``directory`` is the lab's own: it is made by ``up`` and removed by ``down``. ``nodes`` are Mininet nodes that
    exist already, by name; missing ones are made. ``base`` is the overlay as given, ``overlay`` as ``faults`` have
    changed it.
    """

    def __init__(self, overlay: Overlay, directory: Path, nodes: Mapping[str, Namespace] | None = None) -> None:
        self.base = overlay
        self.overlay = overlay
        self.directory = directory
        self.servers: dict[str, LabServer] = {}
        self.switches: dict[str, LabSwitch] = {}
        self.vms: dict[str, Namespace] = {}
        self.faults = Faults(self)
        self.traffic = Traffic(self)
        self._adopted = dict(nodes or {})
        self._created: list[Namespace] = []
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> Self:
        """Build everything, or nothing: on failure what was built is taken down again. Raises LabError."""
        check_preconditions()
        self._made = [place for place in (self.directory, *self.directory.parents) if not place.exists()]
        try:
            self.directory.mkdir(parents=True)
        except FileExistsError as taken:
            raise LabError(f"{self.directory} exists: a lab is up there, or was; take it down first") from taken
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def _build(self) -> None:
        overlay = self.overlay
        options = WiringOptions(datapath_type(), write_profiles(overlay, self.directory))
        for server in overlay.servers:
            node = self._node(server.name)
            self.servers[server.name] = LabServer(server, node, self._instance(node))
        for switch in overlay.underlay.switches:
            node = self._node(switch)
            self.switches[switch] = LabSwitch(switch, node, self._instance(node))
        for vm in overlay.vms():
            self.vms[vm.name] = self._node(vm.name)
        cable(self._cables())
        steps = [partial(server.start, overlay, options) for server in self.servers.values()]
        steps += [partial(switch.start, overlay) for switch in self.switches.values()]
        steps += [partial(self.configure_vm, vm) for vm in overlay.vms()]
        at_once(steps)

    def _node(self, name: str) -> Namespace:
        if name in self._adopted:
            return self._adopted[name]
        node = mininet_node(name)
        self._created.append(node)
        return node

    def _instance(self, node: Namespace) -> OvsInstance:
        return OvsInstance(self.directory / node.name, prefix=node.prefix)

    def _cables(self) -> Iterable[tuple[Plug, Plug]]:
        for server in self.overlay.servers:
            switch = self.switches[server.switch].namespace
            yield Plug(self.servers[server.name].namespace.pid, UPLINK), Plug(switch.pid, server.name)
        for one, other in self.overlay.underlay.links:
            yield Plug(self.switches[one].namespace.pid, other), Plug(self.switches[other].namespace.pid, one)
        for vm in self.overlay.vms():
            yield (
                Plug(self.vms[vm.name].pid, VM_INTERFACE, vm.mac),
                Plug(self.servers[vm.server].namespace.pid, vm.name),
            )

    def configure_vm(self, vm: OverlayVm) -> None:
        """Give a VM its addresses and routes: at first, and after its interface was down, which costs it some."""
        subnet = self.overlay.subnet_of(vm)
        disabled = int(vm.address6 is None)
        self.vms[vm.name].run(
            *shell(
                f"sysctl -qw net.ipv6.conf.all.disable_ipv6={disabled} net.ipv6.conf.default.disable_ipv6={disabled}",
                # Who is gone says so only once more: else what a fault cut off is sent for minutes, in later traffic.
                "sysctl -qw net.ipv4.tcp_orphan_retries=1",
                "ip link set lo up",
                # No address of the kernel's own making, no router solicitations: all a VM sends is asked for.
                f"sysctl -qw net.ipv6.conf.{VM_INTERFACE}.addr_gen_mode=1 net.ipv6.conf.{VM_INTERFACE}.accept_ra=0",
                # A userspace datapath forwards what it gets: checksums must be there, segments must fit.
                f"ethtool -K {VM_INTERFACE} rx off tx off sg off tso off gso off gro off >/dev/null 2>&1",
                f"ip link set {VM_INTERFACE} mtu {VM_MTU[family_of(self.overlay.underlay.prefix[0])]} up",
                f"ip addr replace {vm.address}/{subnet.prefix.prefixlen} dev {VM_INTERFACE}",
                f"ip route replace default via {subnet.gateway}",
                *self._ipv6_of(vm, subnet),
            )
        )

    def _ipv6_of(self, vm: OverlayVm, subnet: OverlaySubnet) -> Iterable[str]:
        """Address, route and neighbours: nobody answers solicitations in the overlay, and nobody doubts an address."""
        if vm.address6 is None or subnet.prefix6 is None:
            return
        yield f"ip -6 addr replace {vm.address6}/{subnet.prefix6.prefixlen} dev {VM_INTERFACE} nodad"
        yield f"ip -6 route replace default via {subnet.gateway6} dev {VM_INTERFACE}"
        macs = {subnet.gateway6: subnet.gateway_mac}
        peers = (peer for peer in self.overlay.tenant(vm.tenant).vms if peer.subnet == vm.subnet)
        macs |= {peer.address6: peer.mac for peer in peers if peer.name != vm.name}
        for address, mac in macs.items():
            if address is not None:
                yield f"ip -6 neigh replace {address} lladdr {mac} dev {VM_INTERFACE} nud permanent"

    def apply(self, overlay: Overlay) -> None:
        """Change the bridges' flows and meters to what ``overlay`` and the faults in force ask for; nothing else.

        Servers whose vswitchd is dead are left as they are: its restart installs everything. Raises LabError.
        """
        self.overlay = overlay
        for name, lab_server in self.servers.items():
            if "ovs-vswitchd" in lab_server.ovs.pids:
                lab_server.install(self.faults.edited(overlay, name, programs(overlay, overlay.server(name))))
        for name, switch in self.switches.items():
            switch.install(self.faults.edited(overlay, name, {name: underlay_program(overlay, name)})[name])

    def forget_neighbours(self) -> None:
        """Have every VM ask for its neighbours anew."""
        at_once([partial(vm.run, "ip", "neigh", "flush", "dev", VM_INTERFACE) for vm in self.vms.values()])

    def ovs(self, node: str) -> OvsInstance:
        """The Open vSwitch of a server or underlay switch. Raises LabError for a name the lab does not have."""
        if node in self.servers:
            return self.servers[node].ovs
        if node in self.switches:
            return self.switches[node].ovs
        raise LabError(f"no server or switch {node!r}; there are: {', '.join((*self.servers, *self.switches))}")

    def vm(self, name: str) -> Namespace:
        """The node of a VM. Raises LabError for a name the lab does not have."""
        if name not in self.vms:
            raise LabError(f"no VM {name!r}; there are: {', '.join(self.vms)}")
        return self.vms[name]

    def execute(self, vm: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a VM and wait for it; its exit code is the caller's to judge."""
        return subprocess.run(
            [*self.vm(vm).prefix, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_DEADLINE,
        )

    def send_frames(self, vm: str, frames: Sequence[bytes]) -> None:
        """Send crafted Ethernet frames (e.g. scapy's ``bytes(packet)``) from a VM, in order."""
        send_frames(self.vm(vm), VM_INTERFACE, frames)

    def address(self, vm: str, family: IpFamily = IpFamily.IPV4) -> IPAddress:
        """The address of a VM. Raises UsageError when it has none of that family."""
        self.vm(vm)
        found = next((one for one in self.base.vm(vm).addresses if family_of(one) is family), None)
        if found is None:
            raise UsageError(f"{vm} has no IPv6 address: the topology gives its subnet no prefix6")
        return found

    def state(self) -> LabState:
        """What there is, for other processes."""
        return LabState(
            name=self.base.name,
            servers=tuple(
                ServerState(name, server.namespace.pid, server.ovs.ovsdb, server.server.vtep)
                for name, server in self.servers.items()
            ),
            switches=tuple(
                ServerState(name, switch.namespace.pid, switch.ovs.ovsdb) for name, switch in self.switches.items()
            ),
            vms=tuple(
                VmState(vm.name, vm.tenant, vm.server, vm.address, vm.mac, self.vms[vm.name].pid, vm.address6)
                for vm in self.base.vms()
            ),
            faults=self.faults.active,
            nat=tuple(NatState(tenant.name, rule) for tenant in self.base.tenants for rule in tenant.nat),
        )

    def down(self) -> None:
        """End every daemon and node of the lab and remove its directory. Safe to call twice."""
        try:
            self.traffic.stop_all()
        finally:
            self._end_nodes()

    def _end_nodes(self) -> None:
        try:
            instances = [server.ovs for server in self.servers.values()]
            instances += [switch.ovs for switch in self.switches.values()]
            at_once([instance.stop for instance in instances])
        finally:
            for node in self._created:
                node.end()
            self._created.clear()
            self.servers.clear()
            self.switches.clear()
            self.vms.clear()
            if self._made:
                shutil.rmtree(self.directory, ignore_errors=True)
            for parent in self._made[1:]:
                with contextlib.suppress(OSError):  # another lab lives there by now
                    parent.rmdir()
            self._made = []


def at_once(steps: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run steps side by side, wait for all, and raise the first error there was."""
    if not steps:
        return []
    with ThreadPoolExecutor(max_workers=len(steps)) as pool:
        futures = [pool.submit(step) for step in steps]
    return [future.result() for future in futures]
