from ipaddress import IPv4Address

from vtrace_ovs.lab.numbering import (
    CookieKind,
    cookie,
    datapath_id,
    meter_id,
    patch_name,
    patch_ofport,
    vm_ofport,
    vtep_mac,
)
from vtrace_ovs.model.overlay import Overlay


def test_a_cookie_says_lab_kind_group_and_index() -> None:
    assert cookie(CookieKind.SECURITY_RULE, 3, group=2) == 0x1AB0_05_02_00000003


def test_a_vms_port_is_its_own_in_the_whole_overlay(overlay: Overlay) -> None:
    ports = [vm_ofport(overlay, vm) for vm in overlay.vms()]
    assert ports == list(range(10, 10 + len(ports)))
    assert meter_id(overlay, overlay.vms()[0]) == 10


def test_a_subnets_patch_has_one_number_and_two_names(overlay: Overlay) -> None:
    subnets = [subnet for tenant in overlay.tenants for subnet in tenant.subnets]
    assert [patch_ofport(overlay, subnet) for subnet in subnets] == [100, 101, 102, 103]
    assert patch_name(subnets[0], on_router=False) == "vni101"
    assert patch_name(subnets[0], on_router=True) == "vni101-r"


def test_every_bridge_has_a_datapath_id_of_its_own(overlay: Overlay) -> None:
    bridges = [(server.name, name) for server in overlay.servers for name in ("br-int", "br-phy", "vr-blue", "vr-red")]
    bridges += [(switch, switch) for switch in overlay.underlay.switches]
    ids = [datapath_id(overlay, *bridge) for bridge in bridges]
    assert len(set(ids)) == len(ids)
    assert all(identifier >> 48 == 0x1AB0 for identifier in ids)


def test_a_vteps_mac_is_local_and_says_its_address() -> None:
    assert vtep_mac(IPv4Address("172.31.0.11")) == "06:00:ac:1f:00:0b"
