"""Turns an Overlay into ovs-vsctl(8) transactions: bridges, ports and the external_ids that the inventory reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vtrace_ovs.lab.numbering import (
    INTEGRATION_BRIDGE,
    PHYSICAL_BRIDGE,
    TUNNEL_OFPORT,
    UPLINK_OFPORT,
    datapath_id,
    patch_name,
    patch_ofport,
    vm_ofport,
    vrouter,
    vtep_mac,
)
from vtrace_ovs.model.overlay import (
    Overlay,
    OverlayServer,
    OverlaySubnet,
    OverlayVm,
    ServerRole,
    Tenant,
    UnderlayRouting,
)

UPLINK = "uplink"
VM_INTERFACE = "eth0"
"""What a VM calls its end."""


@dataclass(frozen=True, slots=True)
class WiringOptions:
    """``datapath_type`` of the VFDs (``netdev``, ``system``) and what ``vtrace-profile`` says for each profile name."""

    datapath_type: str = "netdev"
    profiles: Mapping[str, str] | None = None

    def profile(self, name: str) -> str:
        """What the bridge's ``vtrace-profile`` says: the profile's name, or the path of a copy."""
        return (self.profiles or {}).get(name, name)


def server_wiring(overlay: Overlay, server: OverlayServer, options: WiringOptions) -> list[str]:
    """The transaction for a compute or gateway server, as ovs-vsctl arguments that start with ``--``."""
    words = ["--", "set", "Open_vSwitch", ".", *_external_ids(hostname=server.name, local_ip=str(server.vtep))]
    gateway = server.role is ServerRole.GATEWAY
    words += _bridge(
        overlay,
        server.name,
        INTEGRATION_BRIDGE,
        options.datapath_type,
        "vswitch",
        options.profile("lab-gateway" if gateway else "lab-vswitch"),
    )
    kind = f"type={overlay.underlay.encapsulation.value}"
    words += _port(INTEGRATION_BRIDGE, tunnel_name(overlay), TUNNEL_OFPORT, kind, "options:key=flow")
    words += ["options:remote_ip=flow", f"options:local_ip={server.vtep}"]
    words += _bridge(overlay, server.name, PHYSICAL_BRIDGE, "netdev", "underlay")
    words += [f'other_config:hwaddr="{vtep_mac(server.vtep)}"', "fail_mode=standalone"]
    words += _port(PHYSICAL_BRIDGE, UPLINK, UPLINK_OFPORT)
    for vm in overlay.vms_on(server.name):
        words += _vm_port(overlay, vm)
    if gateway:
        for tenant in overlay.tenants:
            words += _vrouter(overlay, server, tenant, options)
    return words


def switch_wiring(overlay: Overlay, switch: str) -> list[str]:
    """The transaction for an underlay switch: one bridge of its own name, one port per cable.

    It is NORMAL where switches learn; where they have routes it has no flows yet.
    """
    words = ["--", "set", "Open_vSwitch", ".", *_external_ids(hostname=switch)]
    learning = overlay.underlay.routing is UnderlayRouting.LEARNING
    words += [*_bridge(overlay, switch, switch, "netdev", "underlay")]
    words += [f"fail_mode={'standalone' if learning else 'secure'}"]
    for number, port in enumerate(switch_ports(overlay, switch), 1):
        words += _port(switch, port, number)
    return words


def switch_ports(overlay: Overlay, switch: str) -> Iterator[str]:
    """The port names of an underlay switch: each is the name of what it is cabled to."""
    yield from (server.name for server in overlay.servers if server.switch == switch)
    yield from overlay.underlay.neighbours(switch)


def _bridge(
    overlay: Overlay, node: str, name: str, datapath_type: str, role: str, profile: str | None = None
) -> list[str]:
    ids = {"vtrace-role": role} | ({"vtrace-profile": profile} if profile else {})
    words = ["--", "add-br", name, "--", "set", "Bridge", name, f"datapath_type={datapath_type}"]
    words += [f'other_config:datapath-id="{datapath_id(overlay, node, name):016x}"']
    if role != "underlay":
        words += ["fail_mode=secure"]
    return [*words, *_quoted_ids(ids)]


def _port(bridge: str, name: str, ofport: int, *columns: str) -> list[str]:
    return ["--", "add-port", bridge, name, "--", "set", "Interface", name, f"ofport_request={ofport}", *columns]


def tunnel_name(overlay: Overlay) -> str:
    """The name of every server's tunnel port."""
    return f"{overlay.underlay.encapsulation.value}0"


def _vm_port(overlay: Overlay, vm: OverlayVm) -> list[str]:
    vni = overlay.subnet_of(vm).vni
    ids = {
        "iface-id": vm.name,
        "attached-mac": vm.mac,
        "ip": ",".join(map(str, vm.addresses)),
        "tenant": vm.tenant,
        "vni": str(vni),
    }
    return [*_port(INTEGRATION_BRIDGE, vm.name, vm_ofport(overlay, vm)), *_quoted_ids(ids)]


def _vrouter(overlay: Overlay, server: OverlayServer, tenant: Tenant, options: WiringOptions) -> Iterator[str]:
    bridge = vrouter(tenant.name)
    yield from _bridge(overlay, server.name, bridge, options.datapath_type, "vrouter", options.profile("lab-vrouter"))
    yield from _external_ids(tenant=tenant.name)
    for subnet in tenant.subnets:
        yield from _patch(overlay, INTEGRATION_BRIDGE, subnet, on_router=False)
        yield from _patch(overlay, bridge, subnet, on_router=True)


def _patch(overlay: Overlay, bridge: str, subnet: OverlaySubnet, *, on_router: bool) -> Iterator[str]:
    peer = patch_name(subnet, on_router=not on_router)
    name = patch_name(subnet, on_router=on_router)
    yield from _port(bridge, name, patch_ofport(overlay, subnet), "type=patch", f"options:peer={peer}")
    yield from _external_ids(tenant=subnet.tenant, vni=str(subnet.vni))


def _external_ids(**values: str) -> list[str]:
    return _quoted_ids(values)


def _quoted_ids(values: Mapping[str, str]) -> list[str]:
    return [f'external_ids:{key}="{value}"' for key, value in values.items()]
