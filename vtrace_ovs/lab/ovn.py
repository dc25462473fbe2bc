"""Turns a directory into a running OVN: one central, two chassis with VMs, and a bridge that nobody here programmed.

Every daemon has its own sockets, databases and pidfiles under the directory; the system's OVN and Open vSwitch services
are neither needed nor touched. Control traffic uses unix sockets, which reach across network namespaces.
"""

import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from vtrace_ovs.errors import LabError
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.lab.namespaces import Namespace, Plug, cable, mininet_node, shell
from vtrace_ovs.lab.network import at_once
from vtrace_ovs.lab.ovn_network import (
    CHASSIS,
    GATEWAY,
    OUTSIDE_ADDRESS,
    OUTSIDE_MAC,
    PHYSICAL_NETWORK,
    VMS,
    OvnVm,
    northbound,
)
from vtrace_ovs.lab.preconditions import check_preconditions

INTEGRATION_BRIDGE = "br-int"
SCHEMAS = Path("/usr/share/ovn")
SYNC_DEADLINE = 20
_PHYSICAL = "br-phy"
_EXTERNAL = "br-ex"
_UPLINK = "uplink"
_NEIGHBOUR_AGING = 3600
_VM_INTERFACE = "eth0"
_OFFLOADS = "rx off tx off sg off tso off gso off gro off"
_NO_IPV6 = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1"


def vtep_of(chassis: str) -> str:
    """The tunnel endpoint address of a chassis."""
    return f"192.168.0.{CHASSIS.index(chassis) + 1}"


def _vtep_mac(chassis: str) -> str:
    return f"0a:00:00:00:ff:0{CHASSIS.index(chassis) + 1}"


@dataclass(slots=True)
class Central:
    """The northbound and southbound databases, in one ovsdb-server, and ovn-northd between them."""

    daemons: OvsInstance

    @property
    def remote(self) -> str:
        """The connection string of both databases."""
        return f"unix:{self.daemons.directory / 'ovn.sock'}"

    def start(self) -> None:
        """Create the databases and start both daemons. Raises LabError when OVN is not installed."""
        place = self.daemons.directory
        place.mkdir(parents=True, exist_ok=True)
        databases = []
        for name in ("ovn-nb", "ovn-sb"):
            schema = SCHEMAS / f"{name}.ovsschema"
            if not schema.exists():
                raise LabError(f"OVN is not installed: no {schema}; apt-get install ovn-central ovn-host")
            databases.append(str(place / f"{name}.db"))
            self.daemons.run("ovsdb-tool", "create", databases[-1], str(schema))
        self.daemons.daemon("ovsdb-server", *databases, f"--remote=p{self.remote}")
        self.daemons.daemon("ovn-northd", f"--ovnnb-db={self.remote}", f"--ovnsb-db={self.remote}")

    def nbctl(self, *words: str) -> str:
        """ovn-nbctl."""
        return self.daemons.run("ovn-nbctl", f"--db={self.remote}", *words)

    def sbctl(self, *words: str) -> str:
        """ovn-sbctl."""
        return self.daemons.run("ovn-sbctl", f"--db={self.remote}", *words)

    def stop(self) -> None:
        """End both daemons."""
        self.daemons.kill("ovn-northd", signal.SIGTERM)
        self.daemons.kill("ovsdb-server", signal.SIGTERM)


@dataclass(slots=True)
class Chassis:
    """A server of the cloud: an Open vSwitch, its VTEP on the underlay, and ovn-controller."""

    name: str
    namespace: Namespace
    ovs: OvsInstance

    @property
    def vtep(self) -> str:
        """Its tunnel endpoint address."""
        return vtep_of(self.name)

    @property
    def vms(self) -> tuple[OvnVm, ...]:
        """The VMs here."""
        return tuple(vm for vm in VMS if vm.chassis == self.name)

    def start(self, remote: str) -> None:
        """Start the Open vSwitch with its VTEP up, then ovn-controller."""
        edges = [_UPLINK, *(vm.name for vm in self.vms), *(["outside"] if self.name == GATEWAY else [])]
        quiet = [line for edge in edges for line in (f"ethtool -K {edge} {_OFFLOADS} >/dev/null 2>&1",
                                                     f"ip link set {edge} up")]  # fmt: skip
        self.namespace.run(*shell(_NO_IPV6, "ip link set lo up", *quiet))
        self.ovs.start(self._wiring(remote))
        self.namespace.run(*shell(f"ip addr add {self.vtep}/24 dev {_PHYSICAL}", f"ip link set {_PHYSICAL} up"))
        self.ovs.appctl("tnl/neigh/aging", str(_NEIGHBOUR_AGING))
        for peer in CHASSIS:
            if peer != self.name:
                self.ovs.appctl("tnl/neigh/set", _PHYSICAL, vtep_of(peer), _vtep_mac(peer))
        self.ovs.daemon("ovn-controller", self.ovs.ovsdb, control_socket=False)

    def bind(self) -> None:
        """Give each VM its port of br-int, as a hypervisor's agent does."""
        for vm in self.vms:
            port = ("--", "add-port", INTEGRATION_BRIDGE, vm.name)
            self.ovs.vsctl(*port, "--", "set", "interface", vm.name, f"external_ids:iface-id={vm.name}")

    def _wiring(self, remote: str) -> list[str]:
        ids = {
            "system-id": self.name,
            "ovn-remote": f'"{remote}"',
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": f'"{self.vtep}"',
            "ovn-bridge-datapath-type": "netdev",
            "ovn-monitor-all": "true",
        }
        words = []
        bridges = {_PHYSICAL: _UPLINK}
        if self.name == GATEWAY:
            bridges[_EXTERNAL] = "outside"
            ids["ovn-bridge-mappings"] = f"{PHYSICAL_NETWORK}:{_EXTERNAL}"
        for bridge, port in bridges.items():
            words += ["--", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"]
            words += ["fail_mode=standalone", "--", "add-port", bridge, port]
        words += ["--", "set", "bridge", _PHYSICAL, f'other_config:hwaddr="{_vtep_mac(self.name)}"']
        words += ["--", "set", "Open_vSwitch", ".", *(f"external_ids:{key}={value}" for key, value in ids.items())]
        return words

    def stop(self) -> None:
        """End its daemons, ovn-controller first."""
        self.ovs.kill("ovn-controller", signal.SIGTERM)
        self.ovs.stop()


class OvnLab(AbstractContextManager["OvnLab"]):
    """One OVN deployment in this process. ``directory`` is made by ``up`` and removed by ``down``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.central = Central(OvsInstance(directory / "central"))
        self.chassis: dict[str, Chassis] = {}
        self.hosts: dict[str, Namespace] = {}

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> Self:
        """Build everything and wait until every chassis has its flows; or nothing. Raises LabError."""
        check_preconditions()
        self.directory.mkdir(parents=True)
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def _build(self) -> None:
        for name in CHASSIS:
            node = mininet_node(name)
            self.chassis[name] = Chassis(name, node, OvsInstance(self.directory / name, prefix=node.prefix))
        for host in (*(vm.name for vm in VMS), "outside"):
            self.hosts[host] = mininet_node(host)
        self._cable()
        self.central.start()
        steps: list[Callable[[], object]] = [
            partial(chassis.start, self.central.remote) for chassis in self.chassis.values()
        ]
        steps += [partial(self._configure, vm.name, vm.address, vm.gateway) for vm in VMS]
        steps += [partial(self._configure, "outside", OUTSIDE_ADDRESS), partial(self.central.nbctl, *northbound())]
        at_once(steps)
        self._wait(f"{INTEGRATION_BRIDGE} on every chassis", self._integrated)
        at_once([chassis.bind for chassis in self.chassis.values()])
        for vm in VMS:
            self.central.nbctl(f"--timeout={SYNC_DEADLINE}", "wait-until", "logical_switch_port", vm.name, "up=true")
        self.central.nbctl(f"--timeout={SYNC_DEADLINE}", "--wait=hv", "sync")

    def _cable(self) -> None:
        one, other = (self.chassis[name].namespace.pid for name in CHASSIS)
        cables = [(Plug(one, _UPLINK), Plug(other, _UPLINK))]
        cables += [
            (
                Plug(self.hosts[vm.name].pid, _VM_INTERFACE, vm.mac),
                Plug(self.chassis[vm.chassis].namespace.pid, vm.name),
            )
            for vm in VMS
        ]
        cables.append(
            (
                Plug(self.hosts["outside"].pid, _VM_INTERFACE, OUTSIDE_MAC),
                Plug(self.chassis[GATEWAY].namespace.pid, "outside"),
            )
        )
        cable(cables)

    def _configure(self, host: str, address: str, gateway: str | None = None) -> None:
        route = [] if gateway is None else [f"ip route add default via {gateway}"]
        self.hosts[host].run(
            *shell(
                _NO_IPV6,
                "ip link set lo up",
                f"ethtool -K {_VM_INTERFACE} {_OFFLOADS} >/dev/null 2>&1",
                f"ip link set {_VM_INTERFACE} mtu 1400 up",
                f"ip addr add {address}/24 dev {_VM_INTERFACE}",
                *route,
            )
        )

    def _integrated(self) -> bool:
        return all(chassis.ovs.management_socket(INTEGRATION_BRIDGE).exists() for chassis in self.chassis.values())

    def _wait(self, what: str, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SYNC_DEADLINE
        while not reached():
            if time.monotonic() > deadline:
                raise LabError(f"OVN did not make {what} in {SYNC_DEADLINE} s; see the logs in {self.directory}")
            time.sleep(0.02)

    def execute(self, host: str, command: Sequence[str]) -> str:
        """Run a command in a VM, or in ``outside``. Raises LabError with the command's own words."""
        return self.hosts[host].run(*command)

    def down(self) -> None:
        """End every daemon and namespace, and remove the directory. Safe to call twice."""
        try:
            at_once([chassis.stop for chassis in self.chassis.values()])
            self.central.stop()
        finally:
            for node in (*self.hosts.values(), *(chassis.namespace for chassis in self.chassis.values())):
                node.end()
            self.hosts.clear()
            self.chassis.clear()
            shutil.rmtree(self.directory, ignore_errors=True)
