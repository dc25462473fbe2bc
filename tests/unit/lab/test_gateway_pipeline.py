from dataclasses import replace

from vtrace_ovs.lab.gateway_pipeline import gateway_program, vrouter_program
from vtrace_ovs.lab.program import BridgeProgram
from vtrace_ovs.model.overlay import Overlay


def actions(program: BridgeProgram, table_id: int) -> dict[str, str]:
    return {flow.match: flow.actions for flow in program.flows if flow.table_id == table_id}


def test_a_vni_is_known_by_tunnel_and_by_patch(overlay: Overlay) -> None:
    classify = actions(gateway_program(overlay), 0)
    assert classify["in_port=1,tun_id=0xc9"] == classify["in_port=102"] == "set_field:0xc9->reg1,goto_table:30"


def test_the_gateways_mac_leads_to_the_vrouter_and_a_vms_to_its_server(overlay: Overlay) -> None:
    forwarding = actions(gateway_program(overlay), 30)
    assert forwarding["reg1=0x65,dl_dst=0a:01:0a:00:01:01"] == "output:100"
    assert forwarding["reg1=0x65,dl_dst=02:01:0a:00:01:0d"] == (
        "set_field:0x65->tun_id,set_field:172.31.0.12->tun_dst,output:1"
    )


def test_a_route_lowers_the_ttl_and_leads_to_a_patch(overlay: Overlay) -> None:
    routes = actions(vrouter_program(overlay, "blue"), 10)
    assert routes == {
        "ip,nw_dst=10.0.1.0/24": "dec_ttl,set_field:0a:01:0a:00:01:01->eth_src,set_field:0x64->reg2,goto_table:20",
        "ip,nw_dst=10.0.2.0/24": "dec_ttl,set_field:0a:01:0a:00:02:01->eth_src,set_field:0x65->reg2,goto_table:20",
        "ip,nw_dst=10.0.66.0/24": "drop",
        "ipv6,ipv6_dst=fd00:0:0:1::/64": (
            "dec_ttl,set_field:0a:01:0a:00:01:01->eth_src,set_field:0x64->reg2,goto_table:20"
        ),
        "ipv6,ipv6_dst=fd00:0:0:2::/64": (
            "dec_ttl,set_field:0a:01:0a:00:02:01->eth_src,set_field:0x65->reg2,goto_table:20"
        ),
        "ipv6,ipv6_dst=fd00:0:0:66::/64": "drop",
    }


def test_longer_prefixes_win(overlay: Overlay) -> None:
    flows = [flow for flow in vrouter_program(overlay, "blue").flows if flow.table_id == 10]
    assert {flow.priority for flow in flows} == {124, 164}
    tenant = overlay.tenants[0]
    wide = replace(tenant.routes[0], prefix=tenant.routes[0].prefix.supernet(new_prefix=8))
    changed = replace(overlay, tenants=(replace(tenant, routes=(wide,)), *overlay.tenants[1:]))
    assert [flow.priority for flow in vrouter_program(changed, "blue").flows if flow.table_id == 10] == [108]


def test_a_missing_route_is_a_table_miss(overlay: Overlay) -> None:
    assert all(flow.match for flow in vrouter_program(overlay, "red").flows)


def test_a_route_keeps_its_number_in_the_cookie(overlay: Overlay) -> None:
    flows = [flow for flow in vrouter_program(overlay, "blue").flows if flow.table_id == 10]
    assert [flow.cookie for flow in flows] == [0x1AB0_09_00_00000000 + number for number in range(1, 7)]


def test_a_neighbour_is_found_by_address_in_its_own_tenant(overlay: Overlay) -> None:
    blue, red = (actions(vrouter_program(overlay, tenant), 20) for tenant in ("blue", "red"))
    assert blue["ip,nw_dst=10.0.1.11"] == "set_field:02:01:0a:00:01:0b->eth_dst,goto_table:30"
    assert red["ip,nw_dst=10.0.1.11"] == "set_field:02:02:0a:00:01:0b->eth_dst,goto_table:30"
    assert red["ipv6,ipv6_dst=fd00:0:0:1::11"] == red["ip,nw_dst=10.0.1.11"]
