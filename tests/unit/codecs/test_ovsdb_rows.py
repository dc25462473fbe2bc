from dataclasses import replace
from ipaddress import ip_address

import pytest

from vtrace_ovs.codecs.ovsdb_json import BridgeRow, ControllerRow, InterfaceRow, ServerRows
from vtrace_ovs.codecs.ovsdb_rows import (
    attach_obstacle,
    attachment_of,
    port_of,
    protocol_obstacle,
    topology_of,
    version_obstacle,
)
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.topology import (
    BridgeId,
    BridgeRole,
    ManagementSocket,
    Node,
    Policing,
    PortKind,
    ServiceController,
    TunnelEnd,
)

UNIX = "unix:/run/openvswitch/db.sock"


def interface(name: str, kind: str = "", ofport: int | None = 1, **external_ids: str) -> InterfaceRow:
    return InterfaceRow(f"uuid-{name}", name, kind, {}, external_ids, ofport, None)


def bridge_row(name: str, *interfaces: InterfaceRow) -> BridgeRow:
    local = interface(name, "internal", 65534)
    return BridgeRow(f"uuid-{name}", name, "00000000000000ff", "netdev", (local, *interfaces), (), (), None, {})


def server(*bridges: BridgeRow, ovsdb: str = UNIX, uuid: str = "u1", **external_ids: str) -> ServerRows:
    return ServerRows(ovsdb, uuid, "3.1.0", external_ids, bridges)


@pytest.mark.parametrize(("set_to", "tags"), [(None, 1), ("1", 1), ("2", 2), ("0", 2), ("9", 2), ("-1", 1), ("x", 1)])
def test_a_server_looks_behind_one_tag_unless_it_is_told_otherwise(set_to: str | None, tags: int) -> None:
    configured = {} if set_to is None else {"vlan-limit": set_to}
    (node,) = topology_of([replace(server(), other_config=configured)]).topology.nodes
    assert node.vlan_limit == tags


def role(row: BridgeRow) -> BridgeRole:
    return topology_of([server(row)]).topology.bridges[0].role


@pytest.mark.parametrize(
    ("external_ids", "name"),
    [
        ({"hostname": "compute1", "system-id": "s1"}, "compute1"),
        ({"system-id": "s1"}, "s1"),
        ({"hostname": ""}, UNIX),
        ({}, UNIX),
    ],
)
def test_a_server_is_named_by_hostname_then_system_id_then_connection(external_ids: dict[str, str], name: str) -> None:
    rows = replace(server(), external_ids=external_ids)
    assert topology_of([rows]).topology.nodes[0].name == name


def test_servers_of_one_name_are_told_apart_and_reported() -> None:
    servers = [
        replace(server(ovsdb=f"tcp:192.0.2.{n}:6640", uuid=f"u{n}"), external_ids={"hostname": "node"}) for n in (1, 2)
    ]
    reading = topology_of(servers)
    assert [node.name for node in reading.topology.nodes] == ["node", "tcp:192.0.2.2:6640"]
    assert reading.oddities == (
        "tcp:192.0.2.2:6640: another server is called 'node' too; this one is shown as 'tcp:192.0.2.2:6640'",
    )


def test_a_server_named_twice_by_different_connections_counts_once() -> None:
    reading = topology_of([server(bridge_row("br0")), server(bridge_row("br0"), ovsdb="tcp:127.0.0.1:6640")])
    assert len(reading.topology.nodes) == len(reading.topology.bridges) == 1
    assert reading.oddities == (f"tcp:127.0.0.1:6640 is the same server as {UNIX}; name it once",)


def test_vteps_come_from_neutron_ovn_and_tunnel_ports_without_repeats() -> None:
    tunnel = replace(interface("vx0", "vxlan"), options={"local_ip": "192.0.2.3"})
    rows = replace(
        server(bridge_row("br-tun", tunnel)),
        external_ids={"local_ip": "192.0.2.1", "ovn-encap-ip": "192.0.2.1,2001:db8::1, junk"},
    )
    assert topology_of([rows]).topology.nodes[0].vteps == (
        *(ip_address("192.0.2.1"), ip_address("2001:db8::1"), ip_address("192.0.2.3")),
    )


@pytest.mark.parametrize(
    "row",
    [
        bridge_row("br-tun", interface("vx0", "vxlan")),
        bridge_row("br-int", interface("patch0", "patch")),
        bridge_row("br-int", replace(interface("tap0"), external_ids={"iface-id": "p"})),
        replace(bridge_row("s1"), fail_mode="secure"),
        replace(bridge_row("s1"), controllers=(ControllerRow("c", "tcp:192.0.2.9:6653", {}),)),
    ],
)
def test_a_bridge_somebody_programs_is_a_vswitch(row: BridgeRow) -> None:
    assert role(row) is BridgeRole.VSWITCH


@pytest.mark.parametrize(
    "row",
    [
        bridge_row("br-phy", interface("eth0", "system")),
        replace(bridge_row("br-phy"), fail_mode="standalone"),
        replace(bridge_row("br-phy"), controllers=(ControllerRow("c", "tcp:192.0.2.9:6653", {"owner": "vtrace"}),)),
    ],
)
def test_a_bridge_that_only_joins_system_ports_is_underlay(row: BridgeRow) -> None:
    assert role(row) is BridgeRole.UNDERLAY


def test_production_controllers_are_told_with_the_moment_they_came_or_went() -> None:
    rows = (
        ControllerRow("a", "tcp:192.0.2.9:6653", {}, True, "master", {"sec_since_connect": "40"}),
        ControllerRow("b", "tcp:192.0.2.8:6653", {}, False, None, {"sec_since_disconnect": "7"}),
        ControllerRow("c", "tcp:192.0.2.7:6653", {}, False, None, {"state": "BACKOFF"}),
        ControllerRow("d", "tcp:192.0.2.6:6653", {"owner": "vtrace"}, True),
    )
    read = replace(server(replace(bridge_row("s1"), controllers=rows)), read_at=1000.0)
    controllers = topology_of([read]).topology.bridges[0].controllers
    assert [(one.target[-6:-5], one.connected, one.role, one.since) for one in controllers] == [
        ("9", True, "master", 960.0),
        ("8", False, None, 993.0),
        ("7", False, None, None),
    ]
    later = replace(read, read_at=1003.0)
    assert topology_of([later]).topology == topology_of([read]).topology, "no news, whatever the clock says"


def test_a_bridge_ovn_programs_names_the_southbound_database() -> None:
    ids = {"hostname": "n", "ovn-remote": "tcp:192.0.2.1:6642"}
    rows = replace(server(bridge_row("br-int"), bridge_row("br-phy")), external_ids=ids)
    bridges = topology_of([rows]).topology.bridges
    assert [bridge.southbound for bridge in bridges] == ["tcp:192.0.2.1:6642", None]


@pytest.mark.parametrize("declared", list(BridgeRole))
def test_a_declared_role_wins_over_the_guess(declared: BridgeRole) -> None:
    row = bridge_row("br-tun", interface("vx0", "vxlan"))
    assert role(replace(row, external_ids={"vtrace-role": declared.value})) is declared


def test_an_unknown_role_is_reported_and_guessed() -> None:
    row = replace(bridge_row("br-phy"), external_ids={"vtrace-role": "spine"})
    reading = topology_of([replace(server(row), external_ids={"hostname": "n"})])
    assert reading.topology.bridges[0].role is BridgeRole.UNDERLAY
    assert reading.oddities == ("n/br-phy: vtrace-role='spine' is none of vswitch, vrouter, underlay; guessed instead",)


def test_a_bridge_carries_dpid_profile_tenant_and_policy() -> None:
    row = replace(
        bridge_row("br-int"),
        external_ids={"vtrace-profile": "ovn", "vtrace-tenant": "red"},
        protocols=("OpenFlow13",),
        fail_mode="secure",
    )
    bridge = topology_of([replace(server(row), external_ids={"hostname": "n"})]).topology.bridges[0]
    assert (bridge.id, bridge.dpid, bridge.profile, bridge.tenant) == (BridgeId("n", "br-int"), 0xFF, "ovn", "red")
    assert (bridge.protocols, bridge.fail_mode, bridge.datapath_type) == (("OpenFlow13",), "secure", "netdev")


def test_a_bridge_vswitchd_never_saw_has_no_dpid() -> None:
    row = replace(bridge_row("br0"), datapath_id=None)
    assert topology_of([server(row)]).topology.bridges[0].dpid is None


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("vx0", "vxlan", PortKind.TUNNEL),
        ("gnv0", "geneve", PortKind.TUNNEL),
        ("gre0", "gre", PortKind.TUNNEL),
        ("p0", "patch", PortKind.PATCH),
        ("br0", "internal", PortKind.LOCAL),
        ("br0", "", PortKind.LOCAL),
        ("mgmt0", "internal", PortKind.EDGE),
        ("eth0", "system", PortKind.EDGE),
        ("vhu0", "dpdkvhostuserclient", PortKind.EDGE),
    ],
)
def test_the_kind_of_a_port_follows_its_type(name: str, kind: str, expected: PortKind) -> None:
    assert port_of(bridge_row("br0"), interface(name, kind)).kind is expected


def test_the_local_port_has_the_openflow_13_number() -> None:
    assert port_of(bridge_row("br0"), interface("br0", "internal", 65534)).ofport == OFPP_LOCAL


@pytest.mark.parametrize(
    ("options", "remote", "key"),
    [
        ({"remote_ip": "flow", "key": "flow"}, None, None),
        ({"remote_ip": "192.0.2.7", "key": "42"}, ip_address("192.0.2.7"), 42),
        ({"remote_ip": "2001:db8::7", "key": "0x2a"}, ip_address("2001:db8::7"), 42),
        ({}, None, None),
    ],
)
def test_tunnel_options_set_by_the_flow_are_unknown(options: dict[str, str], remote: object, key: int | None) -> None:
    port = port_of(bridge_row("br0"), replace(interface("vx0", "vxlan"), options=options))
    assert (port.remote, port.key) == (remote, key)


def test_a_patch_port_names_its_peer() -> None:
    assert port_of(bridge_row("br0"), replace(interface("p0", "patch"), options={"peer": "p1"})).peer == "p1"


@pytest.mark.parametrize(
    ("name", "external_ids", "vm"),
    [
        ("tap1", {"iface-id": "lsp", "vm-id": "x", "vm-uuid": "y"}, "lsp"),
        ("tap1", {"vm-id": "x", "vm-uuid": "y"}, "x"),
        ("tap1", {"vm-uuid": "y"}, "y"),
        ("tap1", {"iface-id": ""}, "tap1"),
        ("vnet7", {}, "vnet7"),
        ("vhu1234", {}, "vhu1234"),
        ("eth0", {}, None),
        ("s1-eth1", {}, None),
    ],
)
def test_a_vm_is_named_by_its_ids_or_a_hypervisors_interface_name(
    name: str, external_ids: dict[str, str], vm: str | None
) -> None:
    assert port_of(bridge_row("br0"), replace(interface(name), external_ids=external_ids)).vm == vm


@pytest.mark.parametrize(
    ("datapath", "kind", "in_force"),
    [("netdev", "", False), ("netdev", "dpdkvhostuserclient", True), ("system", "", True), ("", "", True)],
)
def test_the_kernel_and_dpdk_keep_to_ingress_policing(datapath: str, kind: str, in_force: bool) -> None:
    bridge = replace(bridge_row("br0"), datapath_type=datapath)
    assert port_of(bridge, interface("tap1", kind)).policing is None
    policed = replace(interface("tap1", kind), ingress_policing_rate=64)
    assert port_of(bridge, policed).policing == Policing(64, in_force)


def test_only_edge_ports_have_a_vm() -> None:
    row = replace(interface("p0", "patch"), external_ids={"iface-id": "lsp"})
    assert port_of(bridge_row("br0"), row).vm is None


def test_addresses_tenant_and_vni_come_from_external_ids() -> None:
    ids = {"ip": "10.0.0.1", "attached-mac": "00:00:00:00:00:01", "tenant": "red", "vni": "100"}
    port = port_of(bridge_row("br0"), replace(interface("tap1"), external_ids=ids))
    assert (port.addresses, port.mac, port.tenant, port.vni) == (
        *((ip_address("10.0.0.1"),), "00:00:00:00:00:01", "red", 100),
    )


def test_unreadable_addresses_and_numbers_are_unknown() -> None:
    port = port_of(bridge_row("br0"), replace(interface("tap1"), external_ids={"ip": "dhcp", "vni": "red"}))
    assert (port.addresses, port.vni) == ((), None)


@pytest.mark.parametrize(
    ("ofport", "error", "expected"),
    [
        (None, None, "has not taken this interface up"),
        (-1, None, "could not add this interface"),
        (-1, "could not open network device tap1 (No such device)", "No such device"),
    ],
)
def test_a_port_without_a_number_says_why(ofport: int | None, error: str | None, expected: str) -> None:
    port = port_of(bridge_row("br0"), replace(interface("tap1", ofport=ofport), error=error))
    assert port.ofport == -1
    assert port.error is not None
    assert expected in port.error


def test_a_working_port_has_no_error() -> None:
    assert port_of(bridge_row("br0"), interface("tap1")).error is None


def test_local_bridges_are_dialled_and_remote_ones_dial_us() -> None:
    assert attachment_of(UNIX, "br0") == ManagementSocket("/run/openvswitch/br0.mgmt")
    assert attachment_of("tcp:192.0.2.1:6640", "br0") == ServiceController("tcp:192.0.2.1:6640")


@pytest.mark.parametrize("protocols", [(), ("OpenFlow13",), ("OpenFlow10", "OpenFlow13")])
def test_protocols_that_allow_openflow_13_are_no_obstacle(protocols: tuple[str, ...]) -> None:
    assert protocol_obstacle("br0", protocols) is None


def test_protocols_that_exclude_openflow_13_name_the_command_that_helps() -> None:
    obstacle = protocol_obstacle("cs1/br0", ("OpenFlow10", "OpenFlow15"))
    assert obstacle is not None
    assert "cs1/br0 speaks only OpenFlow10, OpenFlow15" in obstacle
    assert obstacle.endswith("ovs-vsctl add bridge br0 protocols OpenFlow13")


@pytest.mark.parametrize("version", [None, "2.11.0", "2.17.9", "3.1.0", "10.0", "unreleased"])
def test_new_enough_or_unknown_versions_are_no_obstacle(version: str | None) -> None:
    assert version_obstacle(Node("n", UNIX, (), version)) is None


@pytest.mark.parametrize("version", ["2.10.7", "2.9.0", "1.4.6"])
def test_an_old_release_is_named_with_the_one_needed(version: str) -> None:
    obstacle = version_obstacle(Node("n", UNIX, (), version))
    assert obstacle is not None
    assert f"Open vSwitch {version} is too old" in obstacle
    assert "upgrade to 2.11 or newer" in obstacle


def test_obstacles_are_looked_up_by_the_bridges_server() -> None:
    old = replace(server(bridge_row("br0")), ovs_version="2.5.0", external_ids={"hostname": "n"})
    topology = topology_of([old]).topology
    obstacle = attach_obstacle(topology, topology.bridges[0])
    assert obstacle is not None
    assert obstacle.startswith("n: Open vSwitch 2.5.0 is too old")
    modern = topology_of([replace(old, ovs_version="3.1.0")]).topology
    assert attach_obstacle(modern, replace(modern.bridges[0], protocols=("OpenFlow10",))) is not None
    assert attach_obstacle(modern, modern.bridges[0]) is None


@pytest.mark.parametrize(
    ("external_ids", "name", "profile"),
    [
        ({"ovn-remote": "tcp:10.0.0.1:6642"}, "br-int", "ovn"),
        ({"ovn-remote": "tcp:10.0.0.1:6642", "ovn-bridge": "br-ovn"}, "br-ovn", "ovn"),
        ({"ovn-remote": "tcp:10.0.0.1:6642"}, "br-ex", None),
        ({}, "br-int", None),
    ],
)
def test_the_bridge_ovn_controller_programs_has_ovns_profile(
    external_ids: dict[str, str], name: str, profile: str | None
) -> None:
    rows = replace(server(bridge_row(name)), external_ids=external_ids)
    assert topology_of([rows]).topology.bridges[0].profile == profile


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("vxlan", {}, TunnelEnd("vxlan", 4789, None)),
        ("vxlan", {"dst_port": "4790", "local_ip": "192.0.2.3"}, TunnelEnd("vxlan", 4790, ip_address("192.0.2.3"))),
        ("geneve", {}, TunnelEnd("geneve", 6081, None)),
        ("gre", {"local_ip": "flow"}, TunnelEnd("gre", None, None)),
        ("", {}, None),
    ],
)
def test_what_a_tunnel_port_takes(kind: str, options: dict[str, str], expected: TunnelEnd | None) -> None:
    assert port_of(bridge_row("br0"), replace(interface("p0", kind), options=options)).end == expected


def test_a_port_has_the_mtu_that_its_row_says() -> None:
    assert port_of(bridge_row("br0"), replace(interface("eth0"), mtu=1500)).mtu == 1500
