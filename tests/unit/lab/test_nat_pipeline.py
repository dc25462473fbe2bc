import pytest

from vtrace_ovs.lab.gateway_pipeline import vrouter_program
from vtrace_ovs.lab.program import BridgeProgram, GroupLine
from vtrace_ovs.lab.topologies import load_topology


@pytest.fixture(scope="module")
def router() -> BridgeProgram:
    return vrouter_program(load_topology("nat"), "green")


def actions(router: BridgeProgram, table_id: int) -> dict[str, str]:
    return {flow.match: flow.actions for flow in router.flows if flow.table_id == table_id}


def test_packets_pass_translation_before_and_after_routing(router: BridgeProgram) -> None:
    assert set(actions(router, 0).values()) == {"goto_table:5"}
    assert {text.rpartition(",")[2] for text in actions(router, 20).values()} == {"goto_table:25"}
    assert [actions(router, table)[""] for table in (5, 25, 27)] == ["goto_table:10", "goto_table:27", "goto_table:30"]


def test_what_destination_nat_does_is_undone_for_replies_in_its_zone(router: BridgeProgram) -> None:
    assert actions(router, 5)["ip,nw_dst=203.0.113.21"] == "ct(commit,table=10,zone=1,nat(dst=10.1.2.21))"
    assert actions(router, 25)["ip,nw_src=10.1.2.21"] == "ct(table=27,zone=1,nat)"


def test_what_source_nat_does_is_undone_for_replies_in_its_zone(router: BridgeProgram) -> None:
    request = "ip,ct_state=-rpl,nw_src=10.1.1.0/24,nw_dst=198.51.100.0/24"
    assert actions(router, 27)[request] == "ct(commit,table=30,zone=2,nat(src=203.0.113.1))"
    assert actions(router, 5)["ip,nw_dst=203.0.113.1"] == "ct(table=10,zone=2,nat)"


def test_stateless_nat_sets_fields(router: BridgeProgram) -> None:
    assert actions(router, 5)["ip,nw_dst=203.0.113.22"] == "set_field:10.1.2.22->ip_dst,goto_table:10"
    assert actions(router, 25)["ip,nw_src=10.1.2.22"] == "set_field:203.0.113.22->ip_src,goto_table:27"


def test_a_load_balancer_is_a_select_group(router: BridgeProgram) -> None:
    buckets = (f"bucket=ct(commit,table=10,zone=1,nat(dst=10.1.2.{vm}))" for vm in (21, 23))
    assert actions(router, 5)["tcp,nw_dst=203.0.113.99,tp_dst=443"] == "group:6"
    assert router.groups[0] == GroupLine(6, f"type=select,{','.join(buckets)}")


def test_what_goes_back_by_its_port_says_so(router: BridgeProgram) -> None:
    assert actions(router, 30)["in_port=100,reg2=0x64"] == "in_port"


def test_a_tenant_without_nat_has_no_such_tables() -> None:
    blue = vrouter_program(load_topology("vpc"), "blue")
    assert {flow.table_id for flow in blue.flows} == {0, 10, 20, 30}


def test_the_same_is_done_over_ipv6(router: BridgeProgram) -> None:
    request = "ipv6,ct_state=-rpl,ipv6_src=fd00:0:1:1::/64,ipv6_dst=2001:db8:51::/64"
    assert actions(router, 27)[request] == "ct(commit,table=30,zone=2,nat(src=2001:db8:c0::1))"
    assert actions(router, 5)["ipv6,ipv6_dst=2001:db8:c0::21"] == "ct(commit,table=10,zone=1,nat(dst=fd00:0:1:2::21))"
    assert actions(router, 25)["ipv6,ipv6_src=fd00:0:1:2::21"] == "ct(table=27,zone=1,nat)"
    assert actions(router, 5)["tcp6,ipv6_dst=2001:db8:c0::99,tp_dst=443"] == "group:9"
