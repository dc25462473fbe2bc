"""Turns one server of an Overlay into a running Open vSwitch with its VTEP up and its pipelines installed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.lab.gateway_pipeline import gateway_program, vrouter_program
from vtrace_ovs.lab.namespaces import Namespace, shell
from vtrace_ovs.lab.numbering import INTEGRATION_BRIDGE, PHYSICAL_BRIDGE, vrouter, vtep_mac
from vtrace_ovs.lab.program import EMPTY_PROGRAM, BridgeProgram, ProgramChange, change
from vtrace_ovs.lab.underlay_pipeline import underlay_program
from vtrace_ovs.lab.vswitch_pipeline import vswitch_program
from vtrace_ovs.lab.wiring import UPLINK, WiringOptions, server_wiring, switch_ports, switch_wiring
from vtrace_ovs.model.overlay import Overlay, OverlayServer, ServerRole
from vtrace_ovs.model.packet import IPAddress

NEIGHBOUR_AGING = 3600
_V4 = 4


def programs(overlay: Overlay, server: OverlayServer) -> dict[str, BridgeProgram]:
    """What a controller keeps in each VFD of a server, by bridge name."""
    match server.role:
        case ServerRole.COMPUTE:
            return {INTEGRATION_BRIDGE: vswitch_program(overlay, server.name)}
        case ServerRole.GATEWAY:
            routers = {vrouter(tenant.name): vrouter_program(overlay, tenant.name) for tenant in overlay.tenants}
            return {INTEGRATION_BRIDGE: gateway_program(overlay), **routers}


@dataclass(slots=True)
class LabServer:
    """A server of the lab. ``installed`` is what we put into its bridges, by name."""

    server: OverlayServer
    namespace: Namespace
    ovs: OvsInstance
    installed: dict[str, BridgeProgram] = field(default_factory=dict)

    def start(self, overlay: Overlay, options: WiringOptions) -> None:
        """Start its Open vSwitch, give it its VTEP and install the pipelines."""
        ports = [UPLINK, *(vm.name for vm in overlay.vms_on(self.server.name))]
        self.namespace.run(*shell(*_quiet_interfaces(ports)))
        self.ovs.start(server_wiring(overlay, self.server, options))
        self._after_vswitchd(overlay)

    def restart_vswitchd(self, overlay: Overlay) -> None:
        """Start ovs-vswitchd after it died, and install everything again."""
        self.installed.clear()
        self.ovs.start_vswitchd()
        self._after_vswitchd(overlay)

    def _after_vswitchd(self, overlay: Overlay) -> None:
        vtep = f"{self.server.vtep}/{overlay.underlay.prefix.prefixlen}"
        self.namespace.run(
            *shell(
                f"sysctl -qw net.ipv6.conf.{PHYSICAL_BRIDGE}.disable_ipv6={int(self.server.vtep.version == _V4)}",
                f"sysctl -qw net.ipv6.conf.{PHYSICAL_BRIDGE}.addr_gen_mode=1",
                f"ip addr replace {vtep} dev {PHYSICAL_BRIDGE} {'' if self.server.vtep.version == _V4 else 'nodad'}",
                f"ip link set {PHYSICAL_BRIDGE} up",
            )
        )
        self.ovs.appctl("tnl/neigh/aging", str(NEIGHBOUR_AGING))
        self.know_neighbours(*(peer.vtep for peer in overlay.servers if peer.name != self.server.name))
        self.install(programs(overlay, self.server))

    def know_neighbours(self, *vteps: IPAddress) -> None:
        """Have these tunnel endpoints resolved, and no others."""
        self.ovs.appctl("tnl/neigh/flush")
        for vtep in vteps:
            self.ovs.appctl("tnl/neigh/set", PHYSICAL_BRIDGE, str(vtep), vtep_mac(vtep))

    def install(self, wanted: Mapping[str, BridgeProgram]) -> None:
        """Bring each bridge from what we installed to what is wanted; flows of others stay untouched."""
        for bridge, program in wanted.items():
            _install(self.ovs, bridge, change(self.installed.get(bridge, EMPTY_PROGRAM), program))
            self.installed[bridge] = program


@dataclass(slots=True)
class LabSwitch:
    """An underlay switch of the lab. ``installed`` is what we put into its one bridge."""

    name: str
    namespace: Namespace
    ovs: OvsInstance
    installed: BridgeProgram = EMPTY_PROGRAM

    def start(self, overlay: Overlay) -> None:
        """Start its Open vSwitch with one port per cable."""
        self.namespace.run(*shell(*_quiet_interfaces(list(switch_ports(overlay, self.name)))))
        self.ovs.start(switch_wiring(overlay, self.name))
        self.install(underlay_program(overlay, self.name))

    def install(self, wanted: BridgeProgram) -> None:
        """Bring its bridge from what we installed to what is wanted; flows of others stay untouched."""
        _install(self.ovs, self.name, change(self.installed, wanted))
        self.installed = wanted


def _install(ovs: OvsInstance, bridge: str, step: ProgramChange) -> None:
    target = str(ovs.management_socket(bridge))
    for meter in step.added_meters:
        ovs.ofctl("add-meter", target, meter.text())
    for meter in step.modified_meters:
        ovs.ofctl("mod-meter", target, meter.text())
    for group in step.set_groups:
        ovs.ofctl("--may-create", "mod-group", target, group.text())
    if step.flow_bundle:
        ovs.ofctl("--bundle", "add-flows", target, "-", stdin=step.flow_bundle)
    for meter_id in step.deleted_meters:
        ovs.ofctl("del-meter", target, f"meter={meter_id}")
    for group_id in step.deleted_groups:
        ovs.ofctl("del-groups", target, f"group_id={group_id}")


def _quiet_interfaces(names: list[str]) -> list[str]:
    """Bring links up without IPv6 chatter and without offloads, which a userspace datapath cannot honour."""
    offload = "rx off tx off sg off tso off gso off gro off"
    return [
        "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
        "ip link set lo up",
        *(f"ethtool -K {name} {offload} >/dev/null 2>&1" for name in names),
        *(f"ip link set {name} up" for name in names),
    ]
