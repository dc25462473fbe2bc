"""Turns the rows of several OVSDBs into one Topology: servers, VTEPs, bridges with their roles, and ports.

Where each fact comes from (ovs-vswitchd.conf.db(5), ovn-controller(8); the ``vtrace-…`` keys are ours):

- server name: ``Open_vSwitch`` external_ids ``hostname``, else ``system-id``, else the connection string;
- VTEPs: external_ids ``local_ip`` and ``ovn-encap-ip``, and options ``local_ip`` of every tunnel interface;
- role of a bridge: external_ids ``vtrace-role``; else a vSwitch if somebody programs it (a tunnel or patch port, an
  interface with an ``iface-id``, a production controller, or ``fail_mode=secure``); else it is underlay: a bridge that
  only joins system ports by NORMAL;
- kind of a port: tunnel types → TUNNEL, ``patch`` → PATCH, the bridge's own internal port → LOCAL, all others → EDGE.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from vtrace_ovs.codecs.frames import MOST_TAGS
from vtrace_ovs.codecs.ovsdb_json import BridgeRow, ControllerRow, InterfaceRow, ServerRows
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.topology import (
    Attachment,
    Bridge,
    BridgeController,
    BridgeId,
    BridgeRole,
    ManagementSocket,
    Node,
    Policing,
    Port,
    PortKind,
    ServiceController,
    Topology,
    TunnelEnd,
)

TUNNEL_TYPES = frozenset({"vxlan", "geneve", "gre", "ip6gre", "erspan", "ip6erspan", "lisp", "stt", "gtpu", "bareudp"})
UDP_PORTS = {"vxlan": 4789, "geneve": 6081, "lisp": 4341, "stt": 7471, "gtpu": 2152}
"""Unless ``options:dst_port`` says otherwise (ovs-vswitchd.conf.db(5))."""
KERNEL = frozenset({"", "system"})
"""What ``datapath_type`` says of a bridge whose packets the kernel forwards."""
DPDK = "dpdk"
"""How the types of interfaces begin that DPDK runs."""
OUR_OWNER = "vtrace"
# Names hypervisors give to a VM's interface: libvirt, Neutron, vhost-user; anything else may be an uplink.
VM_INTERFACE_NAME = re.compile(r"(vm|tap|vnet|vhu|qvo)")
NO_OFPORT = -1
OVN_BRIDGE = "br-int"
OVN_PROFILE = "ovn"
NEEDED_PROTOCOL = "OpenFlow13"
# The controller action takes a meter_id, and Controller rows a type, from here on.
OLDEST_RELEASE = (2, 11)


@dataclass(frozen=True, slots=True)
class TopologyReading:
    """A topology and what in the rows was odd, one sentence each."""

    topology: Topology
    oddities: tuple[str, ...] = ()


def topology_of(servers: Sequence[ServerRows]) -> TopologyReading:
    """All servers as one topology. A server reached twice counts once; servers of equal name are told apart."""
    nodes: list[Node] = []
    bridges: list[Bridge] = []
    oddities: list[str] = []
    seen: dict[str, str] = {}
    for rows in servers:
        if rows.uuid in seen:
            oddities.append(f"{rows.ovsdb} is the same server as {seen[rows.uuid]}; name it once")
            continue
        seen[rows.uuid] = rows.ovsdb
        name = _node_name(rows, {node.name for node in nodes}, oddities)
        nodes.append(Node(name, rows.ovsdb, _vteps(rows), rows.ovs_version, _vlan_limit(rows)))
        bridges += (_bridge(name, rows, row, oddities) for row in rows.bridges)
    return TopologyReading(Topology(tuple(nodes), tuple(bridges)), tuple(oddities))


def _node_name(rows: ServerRows, taken: set[str], oddities: list[str]) -> str:
    ids = rows.external_ids
    wanted = [ids[key] for key in ("hostname", "system-id") if ids.get(key)] or [rows.ovsdb]
    name = next((candidate for candidate in wanted if candidate not in taken), rows.ovsdb)
    if name != wanted[0]:
        oddities.append(f"{rows.ovsdb}: another server is called {wanted[0]!r} too; this one is shown as {name!r}")
    return name


def _vlan_limit(rows: ServerRows) -> int:
    """Column ``other_config:vlan-limit`` (ovs-vswitchd.conf.db(5)): 1 unless it is set, and 0 leaves it at the most."""
    limit = _integer(rows.other_config.get("vlan-limit"))
    return 1 if limit is None or limit < 0 else min(limit or MOST_TAGS, MOST_TAGS)


def _vteps(rows: ServerRows) -> tuple[IPAddress, ...]:
    listed = [rows.external_ids.get("local_ip", ""), *rows.external_ids.get("ovn-encap-ip", "").split(",")]
    listed += (
        interface.options.get("local_ip", "")
        for bridge in rows.bridges
        for interface in bridge.interfaces
        if interface.type in TUNNEL_TYPES
    )
    return _addresses(listed)


def _bridge(node: str, rows: ServerRows, row: BridgeRow, oddities: list[str]) -> Bridge:
    bridge_id = BridgeId(node, row.name)
    return Bridge(
        id=bridge_id,
        dpid=int(row.datapath_id, 16) if row.datapath_id else None,
        role=_role(bridge_id, row, oddities),
        ports=tuple(port_of(row, interface) for interface in row.interfaces),
        attachment=attachment_of(rows.ovsdb, row.name),
        datapath_type=row.datapath_type,
        protocols=row.protocols,
        fail_mode=row.fail_mode,
        profile=row.external_ids.get("vtrace-profile", OVN_PROFILE if _is_of_ovn(rows, row) else None),
        tenant=row.external_ids.get("vtrace-tenant"),
        controllers=tuple(_controller(rows, one) for one in row.controllers if _is_production(one)),
        southbound=rows.external_ids["ovn-remote"] if _is_of_ovn(rows, row) else None,
        external_ids=tuple(sorted(row.external_ids.items())),
    )


def _is_production(row: ControllerRow) -> bool:
    return row.external_ids.get("owner") != OUR_OWNER


def _controller(rows: ServerRows, row: ControllerRow) -> BridgeController:
    """With the moment the connection came, or went (column ``status``; empty where it never was one)."""
    seconds = _integer(row.status.get("sec_since_connect" if row.connected else "sec_since_disconnect"))
    since = None if seconds is None or rows.read_at is None else rows.read_at - seconds
    return BridgeController(row.target, row.connected, row.role, since)


def _is_of_ovn(rows: ServerRows, row: BridgeRow) -> bool:
    """Whether ovn-controller programs this bridge: it is told where to, and makes ``br-int`` (ovn-controller(8))."""
    return "ovn-remote" in rows.external_ids and row.name == rows.external_ids.get("ovn-bridge", OVN_BRIDGE)


def attachment_of(ovsdb: str, bridge: str) -> Attachment:
    """How to reach a bridge: beside a local OVSDB socket lies the bridge's management socket (ovs-vswitchd(8))."""
    if ovsdb.startswith("unix:"):
        return ManagementSocket(str(Path(ovsdb.removeprefix("unix:")).parent / f"{bridge}.mgmt"))
    return ServiceController(ovsdb)


def protocol_obstacle(bridge: str, protocols: Sequence[str]) -> str | None:
    """Why a bridge with these ``protocols`` cannot be traced. An empty set means all versions (OVS ≥ 2.8).

    ``bridge`` is its name, or ``server/bridge``.
    """
    if not protocols or NEEDED_PROTOCOL in protocols:
        return None
    return (
        f"bridge {bridge} speaks only {', '.join(protocols)}; allow OpenFlow 1.3 beside them: "
        f"ovs-vsctl add bridge {bridge.rpartition('/')[2]} protocols {NEEDED_PROTOCOL}"
    )


def version_obstacle(node: Node) -> str | None:
    """Why this server's Open vSwitch is too old. Not every packaging fills ``ovs_version``: unknown is no obstacle."""
    found = re.match(r"(\d+)\.(\d+)", node.ovs_version or "")
    if found is None or (int(found[1]), int(found[2])) >= OLDEST_RELEASE:
        return None
    oldest = ".".join(map(str, OLDEST_RELEASE))
    return (
        f"{node.name}: Open vSwitch {node.ovs_version} is too old: its controller action has no meter; "
        f"upgrade to {oldest} or newer"
    )


def attach_obstacle(topology: Topology, bridge: Bridge) -> str | None:
    """Why the rows already say that this bridge cannot be traced, or None."""
    node = topology.node(bridge.id.node)
    too_old = version_obstacle(node) if node is not None else None
    return too_old or protocol_obstacle(str(bridge.id), bridge.protocols)


def _role(bridge_id: BridgeId, row: BridgeRow, oddities: list[str]) -> BridgeRole:
    declared = row.external_ids.get("vtrace-role")
    if declared in {role.value for role in BridgeRole}:
        return BridgeRole(declared)
    if declared is not None:
        oddities.append(f"{bridge_id}: vtrace-role={declared!r} is none of vswitch, vrouter, underlay; guessed instead")
    return BridgeRole.VSWITCH if _somebody_programs(row) else BridgeRole.UNDERLAY


def _somebody_programs(row: BridgeRow) -> bool:
    production = any(map(_is_production, row.controllers))
    overlay = any(
        interface.type in TUNNEL_TYPES or interface.type == "patch" or "iface-id" in interface.external_ids
        for interface in row.interfaces
    )
    return production or overlay or row.fail_mode == "secure"


def port_of(bridge: BridgeRow, row: InterfaceRow) -> Port:
    """One port. ``error`` says why there is no usable port number; ``ofport`` is then -1, as OVSDB has it."""
    kind = _kind(bridge.name, row)
    ids = row.external_ids
    vni = ids.get("vni", ids.get("vtrace-vni"))
    return Port(
        ofport=_ofport(kind, row),
        name=row.name,
        kind=kind,
        vm=_vm(row) if kind is PortKind.EDGE else None,
        addresses=_addresses(ids.get("ip", "").replace(",", " ").split()),
        mac=ids.get("attached-mac"),
        tenant=ids.get("tenant", ids.get("vtrace-tenant")),
        vni=_integer(vni),
        remote=_address(row.options.get("remote_ip", "")) if kind is PortKind.TUNNEL else None,
        key=_integer(row.options.get("key")) if kind is PortKind.TUNNEL else None,
        peer=row.options.get("peer") if kind is PortKind.PATCH else None,
        error=_port_error(row),
        end=_tunnel_end(row) if kind is PortKind.TUNNEL else None,
        mtu=row.mtu,
        policing=_policing(bridge, row),
    )


def _policing(bridge: BridgeRow, row: InterfaceRow) -> Policing | None:
    """The kernel polices what its own datapath gets, and DPDK's ports do so themselves.

    Other ports of the userspace datapath are read by packet sockets, which come before the kernel's traffic control.
    """
    if not row.ingress_policing_rate:
        return None
    in_force = bridge.datapath_type in KERNEL or row.type.startswith(DPDK)
    return Policing(row.ingress_policing_rate, in_force)


def _tunnel_end(row: InterfaceRow) -> TunnelEnd:
    udp_port = _integer(row.options.get("dst_port"))
    usual = UDP_PORTS.get(row.type)
    return TunnelEnd(row.type, usual if udp_port is None else udp_port, _address(row.options.get("local_ip", "")))


def _kind(bridge: str, row: InterfaceRow) -> PortKind:
    if row.type in TUNNEL_TYPES:
        return PortKind.TUNNEL
    if row.type == "patch":
        return PortKind.PATCH
    return PortKind.LOCAL if row.name == bridge else PortKind.EDGE


def _ofport(kind: PortKind, row: InterfaceRow) -> int:
    # OVSDB shows the local port as 65534 (OpenFlow 1.0); OpenFlow 1.3 calls it OFPP_LOCAL.
    if kind is PortKind.LOCAL and row.ofport not in {None, NO_OFPORT}:
        return OFPP_LOCAL
    return NO_OFPORT if row.ofport is None else row.ofport


def _port_error(row: InterfaceRow) -> str | None:
    if row.error:
        return row.error
    if row.ofport is None:
        return "no OpenFlow port number yet: ovs-vswitchd has not taken this interface up"
    if row.ofport == NO_OFPORT:
        return "ovs-vswitchd could not add this interface; see its log"
    return None


def _vm(row: InterfaceRow) -> str | None:
    named: Mapping[str, str] = row.external_ids
    for key in ("iface-id", "vm-id", "vm-uuid"):
        if named.get(key):
            return named[key]
    return row.name if VM_INTERFACE_NAME.match(row.name) else None


def _address(text: str) -> IPAddress | None:
    try:
        return ip_address(text.strip())
    except ValueError:
        return None


def _addresses(listed: Iterable[str]) -> tuple[IPAddress, ...]:
    return tuple(dict.fromkeys(address for text in listed if (address := _address(text)) is not None))


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None
