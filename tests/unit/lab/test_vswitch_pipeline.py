from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.program import FlowLine, MeterLine
from vtrace_ovs.lab.vswitch_pipeline import vswitch_program
from vtrace_ovs.model.overlay import Overlay


def flows(overlay: Overlay, server: str, table_id: int) -> dict[str, FlowLine]:
    return {flow.match: flow for flow in vswitch_program(overlay, server).flows if flow.table_id == table_id}


def test_a_vms_packets_get_its_vni_and_a_tunnels_packets_theirs(overlay: Overlay) -> None:
    classify = flows(overlay, "cs3", 0)
    assert classify["in_port=14"].actions == "set_field:0x66->reg1,goto_table:10"
    assert classify["in_port=1,tun_id=0x66"].actions == "set_field:0x66->reg1,goto_table:30"
    assert "in_port=1,tun_id=0x65" not in classify, "blue's web subnet has no VM on cs3"


def test_a_destination_is_here_or_behind_a_tunnel(overlay: Overlay) -> None:
    forwarding = flows(overlay, "cs2", 30)
    assert forwarding["reg1=0x66,dl_dst=02:01:0a:00:02:15"].actions == "set_field:0xd->reg2,goto_table:40"
    assert forwarding["reg1=0x66,dl_dst=02:01:0a:00:02:16"].actions == (
        "set_field:0x66->tun_id,set_field:172.31.0.13->tun_dst,output:1"
    )
    assert "172.31.0.21" in forwarding["reg1=0x66,dl_dst=0a:01:0a:00:02:01"].actions, "the gateway's MAC"


def test_an_unknown_destination_is_a_table_miss(overlay: Overlay) -> None:
    assert all(flow.priority > 0 for flow in flows(overlay, "cs1", 30).values())


def test_only_a_vms_own_addresses_pass_anti_spoofing(overlay: Overlay) -> None:
    spoofing = flows(overlay, "cs1", 10)
    assert spoofing["ip,in_port=10,dl_src=02:01:0a:00:01:0b,nw_src=10.0.1.11"].actions == "goto_table:15"
    assert spoofing["arp,in_port=10,dl_src=02:01:0a:00:01:0b,arp_spa=10.0.1.11"].actions == "goto_table:12"
    assert spoofing[""].actions == "drop"


def test_a_rate_limit_is_a_meter_on_the_way_out(overlay: Overlay) -> None:
    assert vswitch_program(overlay, "cs1").meters == (MeterLine(10, 5000, 1000),)
    assert flows(overlay, "cs1", 15)["in_port=10"].actions == "meter:10,goto_table:20"
    unlimited = replace(overlay, rate_limits=())
    assert vswitch_program(unlimited, "cs1").meters == ()
    assert list(flows(unlimited, "cs1", 15)) == [""]


def test_arp_is_answered_for_every_neighbour_and_the_gateway(overlay: Overlay) -> None:
    asked = flows(overlay, "cs1", 12)
    assert "arp,reg1=0x65,arp_op=1,arp_tpa=10.0.1.1" in asked
    assert "arp,reg1=0x65,arp_op=1,arp_tpa=10.0.1.13" in asked
    assert all(flow.actions.endswith(",in_port") for flow in asked.values())


def test_every_port_has_an_output_of_its_own(overlay: Overlay) -> None:
    assert {match: flow.actions for match, flow in flows(overlay, "cs1", 50).items()} == {
        "reg2=0xa": "output:10",
        "reg2=0xb": "output:11",
        "reg2=0xf": "output:15",
    }


def test_nothing_touches_what_a_trace_needs(overlay: Overlay) -> None:
    for server in ("cs1", "cs2", "cs3"):
        for flow in vswitch_program(overlay, server).flows:
            text = flow.match + flow.actions
            assert not any(word in text for word in ("dscp", "tos", "pkt_mark", "reg8", "reg9", "reg10", "reg15"))
            assert flow.cookie >> 48 == 0x1AB0


def test_a_vm_that_is_not_answered_is_dropped_before_the_arp_responder(
    overlay: Overlay, broken: Callable[[Overlay, Fault], Overlay]
) -> None:
    silent = broken(overlay, Fault(FaultName.NEIGHBOUR_UNRESOLVED))
    before, after = set(vswitch_program(overlay, "cs1").flows), set(vswitch_program(silent, "cs1").flows)
    (added,) = after - before
    assert (added.table_id, added.priority, added.match, added.actions) == (12, 101, "arp,in_port=10", "drop")
    assert not before - after
