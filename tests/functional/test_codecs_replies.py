from collections.abc import Callable

import pytest
from openflow_peer import BridgeRefusalError, OpenFlowPeer

from vtrace_ovs.codecs import openflow
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.actions import OFPP_LOCAL, Output
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, GroupType, MeterMod, MeterModCommand
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT

OURS = 0x5654_0000_0000_0000
PRODUCT_MASK = 0xFFFF_0000_0000_0000


@pytest.fixture
def bridge(ovs: OvsInstance) -> OvsInstance:
    ovs.vsctl(
        "add-br",
        "br0",
        "--",
        "set",
        "bridge",
        "br0",
        "datapath_type=dummy",
        "other-config:datapath-id=00000000000000ab",
    )
    for n in (1, 2):
        ovs.vsctl("add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", "type=dummy", f"ofport_request={n}")
    ovs.ofctl("del-flows", "br0")
    return ovs


def test_a_bridge_says_who_it_is_and_how_it_treats_fragments(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    bridge.ofctl("set-frags", "br0", "nx-match")
    connection = peer("br0")
    assert connection.dpid == 0xAB
    config = openflow.get_config_reply(connection.ask(openflow.get_config_request))
    connection.send(lambda xid: openflow.set_config(config.flags, 128, xid))
    connection.barrier()
    assert bridge.ofctl("get-frags", "br0").strip() == "nx-match"
    again = openflow.get_config_reply(connection.ask(openflow.get_config_request))
    assert (again.flags, again.miss_send_len) == (config.flags, 128)


def test_groups_come_with_their_buckets(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    text = (
        "group_id=7,type=select,bucket=weight=3,output:1,bucket=weight=5,output:2\n"
        "group_id=8,type=fast_failover,bucket=watch_port=2,output:2"
    )
    bridge.ofctl("add-groups", "br0", "-", stdin=text)
    found = {g.group_id: g for g in openflow.groups(peer("br0").multipart(openflow.group_desc_request).body)}
    assert found[7].type is GroupType.SELECT
    assert [(bucket.weight, bucket.actions) for bucket in found[7].buckets] == [(3, (Output(1),)), (5, (Output(2),))]
    assert found[8].type is GroupType.FAST_FAILOVER
    assert found[8].buckets[0].watch_port == 2


@pytest.mark.usefixtures("bridge")
def test_a_meter_reads_back_as_it_was_added_and_goes_when_deleted(peer: Callable[[str], OpenFlowPeer]) -> None:
    connection = peer("br0")
    connection.send(lambda xid: openflow.meter_mod(MeterMod(MeterModCommand.ADD, 9, rate=5, burst=20), xid))
    (meter,) = openflow.meters(connection.multipart(openflow.meter_config_request).body)
    assert (meter.meter_id, meter.rate, meter.burst, meter.packets) == (9, 5, 20, True)
    (counters,) = openflow.meter_counters(connection.multipart(openflow.meter_stats_request).body)
    assert (counters.meter_id, counters.packets_in, counters.packets_dropped) == (9, 0, 0)
    connection.send(lambda xid: openflow.meter_mod(MeterMod(MeterModCommand.DELETE, 9), xid))
    assert openflow.meters(connection.multipart(openflow.meter_config_request).body) == ()


def test_ports_come_with_names_and_states(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    bridge.ofctl("mod-port", "br0", "p2", "down")
    found = {port.ofport: port for port in openflow.ports(peer("br0").multipart(openflow.port_desc_request).body)}
    assert (found[1].name, found[1].admin_down) == ("p1", False)
    assert (found[2].name, found[2].admin_down) == ("p2", True)
    assert found[OFPP_LOCAL].name == "br0"


def test_ports_that_carry_nothing_say_so(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    bridge.ofctl("mod-port", "br0", "p1", "no-receive")
    bridge.ofctl("mod-port", "br0", "p2", "no-forward")
    found = {port.ofport: port for port in openflow.ports(peer("br0").multipart(openflow.port_desc_request).body)}
    assert [(found[port].no_receive, found[port].no_forward) for port in (1, 2)] == [(True, False), (False, True)]


def test_port_counters_count_what_a_port_received(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    bridge.appctl("netdev-dummy/receive", "p1", "0e" * 12 + "0800" + "00" * 46)
    connection = peer("br0")
    found = {c.ofport: c for c in openflow.port_counters(connection.multipart(openflow.port_stats_request).body)}
    assert (found[1].rx_packets, found[2].rx_packets) == (1, 0)


def test_a_deletion_by_cookie_takes_only_our_flows(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    bridge.ofctl("add-flow", "br0", "cookie=0x1,priority=9,actions=drop")
    connection = peer("br0")
    match = Match.of(MaskedField(IN_PORT, 1, IN_PORT.full_mask))
    connection.modify(FlowMod(FlowModCommand.ADD, 0, 5, match, OURS | 3))
    assert {flow.cookie for flow in connection.flows()} == {1, OURS | 3}
    every = FlowMod(FlowModCommand.DELETE, openflow.ALL_TABLES, 0, Match(), OURS, PRODUCT_MASK)
    connection.modify(every)
    assert {flow.cookie for flow in connection.flows()} == {1}


def test_flows_can_be_asked_for_by_cookie(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    bridge.ofctl("add-flow", "br0", "cookie=0x1,priority=9,actions=drop")
    bridge.ofctl("add-flow", "br0", f"cookie={OURS + 1},priority=8,actions=drop")
    reply = peer("br0").multipart(lambda xid: openflow.flow_stats_request(xid, cookie=OURS, cookie_mask=PRODUCT_MASK))
    assert [flow.cookie for flow in openflow.flows(reply.body)] == [OURS + 1]


@pytest.mark.usefixtures("bridge")
def test_a_missing_meter_is_refused_by_name(peer: Callable[[str], OpenFlowPeer]) -> None:
    connection = peer("br0")
    connection.send(lambda xid: openflow.meter_mod(MeterMod(MeterModCommand.MODIFY, 9, 1, 1), xid))
    with pytest.raises(BridgeRefusalError, match="OFPMMFC_UNKNOWN_METER"):
        connection.barrier()
