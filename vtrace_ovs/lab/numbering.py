"""Turns an Overlay into the numbers its Open vSwitches use: OpenFlow ports, datapath ids, MACs, meters and cookies."""

from enum import IntEnum

from vtrace_ovs.model.overlay import Overlay, OverlaySubnet, OverlayVm
from vtrace_ovs.model.packet import IPAddress

TUNNEL_OFPORT = 1
UPLINK_OFPORT = 1
FIRST_VM_OFPORT = 10
FIRST_PATCH_OFPORT = 100
INTEGRATION_BRIDGE = "br-int"
PHYSICAL_BRIDGE = "br-phy"
COOKIE_PREFIX = 0x1AB0


class CookieKind(IntEnum):
    """The kind byte of a lab cookie (bits 40-47), as the shipped profiles name it."""

    CLASSIFY = 0x01
    ANTI_SPOOFING = 0x02
    ARP = 0x03
    RATE_LIMIT = 0x04
    SECURITY_RULE = 0x05
    DEFAULT_DENY = 0x06
    FORWARDING = 0x07
    OUTPUT = 0x08
    ROUTE = 0x09
    NEIGHBOUR = 0x0A
    NAT = 0x0B
    UNDERLAY = 0x0C


def cookie(kind: CookieKind, index: int = 0, group: int = 0) -> int:
    """The 64-bit cookie: 0x1ab0, the kind byte, a group byte, a 32-bit index."""
    return COOKIE_PREFIX << 48 | kind << 40 | group << 32 | index


def kind_of(number: int) -> CookieKind:
    """The kind in a lab cookie."""
    return CookieKind(number >> 40 & 0xFF)


def vrouter(tenant: str) -> str:
    """The bridge that is a tenant's vRouter."""
    return f"vr-{tenant}"


def vm_ofport(overlay: Overlay, vm: OverlayVm) -> int:
    """The VM's port on its server's br-int. Unique in the overlay, so that a number never means two VMs."""
    return FIRST_VM_OFPORT + [known.name for known in overlay.vms()].index(vm.name)


def meter_id(overlay: Overlay, vm: OverlayVm) -> int:
    """The meter that limits what a VM sends."""
    return vm_ofport(overlay, vm)


def patch_ofport(overlay: Overlay, subnet: OverlaySubnet) -> int:
    """The number of a subnet's patch port, on the gateway's br-int and on the vRouter alike."""
    vnis = [known.vni for tenant in overlay.tenants for known in tenant.subnets]
    return FIRST_PATCH_OFPORT + vnis.index(subnet.vni)


def patch_name(subnet: OverlaySubnet, *, on_router: bool) -> str:
    """The name of a subnet's patch port: ``vni101`` on br-int, ``vni101-r`` on the vRouter."""
    return f"vni{subnet.vni}-r" if on_router else f"vni{subnet.vni}"


def datapath_id(overlay: Overlay, node: str, bridge: str) -> int:
    """A datapath id that survives restarts: 0x1ab0, the node's number, the bridge's number there."""
    nodes = [*(server.name for server in overlay.servers), *overlay.underlay.switches]
    bridges = [INTEGRATION_BRIDGE, PHYSICAL_BRIDGE, *(vrouter(tenant.name) for tenant in overlay.tenants)]
    number = bridges.index(bridge) if bridge in bridges else len(bridges)
    return COOKIE_PREFIX << 48 | (nodes.index(node) + 1) << 16 | number


def vtep_mac(vtep: IPAddress) -> str:
    """The MAC of br-phy's own port, which holds the VTEP address."""
    return ":".join(f"{byte:02x}" for byte in (0x06, 0x00, *vtep.packed[-4:]))
