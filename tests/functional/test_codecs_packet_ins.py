from collections.abc import Callable
from time import monotonic

import pytest
from openflow_peer import DEADLINE, BridgeRefusalError, OpenFlowPeer

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.actions import ApplyActions, Controller, Output, SetField
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterCounters, MeterMod, MeterModCommand
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, REGISTERS, TUN_ID, field

CONTROLLER_ID = 0x5654
METER_ID = 9
ETHERNET = "0e0000000002 0e0000000001 0800 "
IPV4 = "45b9 0054 1234 4000 4011 12aa 0a000001 0a000102"
UDP = "d903 01bb 0040 0000"
FRAME = bytes.fromhex(ETHERNET + IPV4 + UDP) + bytes(range(56))


@pytest.fixture
def bridge(ovs: OvsInstance) -> OvsInstance:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    for n in (1, 2):
        ovs.vsctl("add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", "type=dummy", f"ofport_request={n}")
    ovs.ofctl("del-flows", "br0")
    return ovs


def log_flow(max_len: int = 0xFFFF) -> FlowMod:
    """Color a register, log a copy under a meter, and pass the packet on."""
    log = Controller(CONTROLLER_ID, max_len=max_len, userdata=b"VTrc\x01\x02\x03\x04\x05", meter_id=METER_ID)
    actions = (
        SetField(REGISTERS[3], 0xABC, 0xFFF),
        SetField(TUN_ID, 0x42, TUN_ID.full_mask),
        log,
        Output(2),
    )
    match = Match.of(MaskedField(IN_PORT, 1, IN_PORT.full_mask))
    return FlowMod(
        FlowModCommand.ADD, 0, 5, match, 0x5654_0000_0000_0001, instructions=(ApplyActions(actions),), hard_timeout=60
    )


def add_meter(connection: OpenFlowPeer, burst: int = 100) -> None:
    connection.send(lambda xid: openflow.meter_mod(MeterMod(MeterModCommand.ADD, METER_ID, 100, burst), xid))
    connection.barrier()


def inject(ovs: OvsInstance, frame: bytes = FRAME, times: int = 1) -> None:
    """All at once: a meter's bucket fills again while a busy machine starts the next command."""
    ovs.appctl("netdev-dummy/receive", "p1", *[frame.hex()] * times)


def test_a_logged_packet_arrives_whole_with_its_pipeline_fields(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    connection = peer("br0")
    connection.listen(CONTROLLER_ID)
    add_meter(connection)
    connection.modify(log_flow())
    inject(bridge)
    seen = connection.packet_in()
    assert seen.frame == FRAME
    assert seen.total_length == len(FRAME)
    assert (seen.dpid, seen.table_id, seen.cookie, seen.reason) == (connection.dpid, 0, 0x5654_0000_0000_0001, 1)
    assert seen.userdata == b"VTrc\x01\x02\x03\x04\x05"
    values = dict(seen.metadata)
    assert values[IN_PORT] == 1
    assert values[REGISTERS[3]] == 0xABC
    assert values[TUN_ID] == 0x42


def test_a_copy_with_a_max_len_is_the_front_of_the_packet_and_says_how_long_that_was(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    connection = peer("br0")
    connection.listen(CONTROLLER_ID)
    add_meter(connection)
    connection.modify(log_flow(max_len=48))
    inject(bridge)
    seen = connection.packet_in()
    assert FRAME.startswith(seen.frame)
    assert seen.total_length == len(FRAME)
    read = headers(seen.frame, seen.total_length)
    assert read.five_tuple is not None
    assert (read.five_tuple.source_port, read.dscp, read.length) == (0xD903, 46, len(FRAME))


def test_a_meter_caps_the_copies_and_counts_what_it_dropped(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    connection = peer("br0")
    connection.listen(CONTROLLER_ID)
    add_meter(connection, burst=2)
    connection.modify(log_flow())
    inject(bridge, times=20)
    deadline = monotonic() + DEADLINE  # a dummy port takes in one packet a round
    while (counters := metered(connection)).packets_in < 20:
        assert monotonic() < deadline, counters
    assert counters.packets_in == 20
    assert counters.packets_dropped > 0


def metered(connection: OpenFlowPeer) -> MeterCounters:
    (counters,) = openflow.meter_counters(connection.multipart(openflow.meter_stats_request).body)
    assert counters.meter_id == METER_ID
    return counters


def test_without_a_miss_length_a_service_connection_gets_no_copy(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    deaf, hearing = peer("br0"), peer("br0")
    config = openflow.get_config_reply(deaf.ask(openflow.get_config_request))
    assert config.miss_send_len == 0
    deaf.send(lambda xid: openflow.set_controller_id(CONTROLLER_ID, xid))
    deaf.send(openflow.set_packet_in_format)
    deaf.barrier()
    hearing.listen(CONTROLLER_ID)
    add_meter(hearing)
    hearing.modify(log_flow())
    inject(bridge)
    hearing.packet_in()
    deaf.barrier()
    assert not deaf.holds_packet_in()


def test_another_controller_id_gets_no_copy(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    stranger, ours = peer("br0"), peer("br0")
    stranger.listen(0)
    ours.listen(CONTROLLER_ID)
    add_meter(ours)
    ours.modify(log_flow())
    inject(bridge)
    ours.packet_in()
    stranger.barrier()
    assert not stranger.holds_packet_in()


def test_the_packet_in_of_a_tracked_packet_carries_its_original_direction(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    connection = peer("br0")
    connection.listen(CONTROLLER_ID)
    bridge.ofctl("add-flow", "br0", "table=0,ip,actions=ct(commit,nat(dst=10.9.9.9:5353),table=1)")
    bridge.ofctl("add-flow", "br0", f"table=1,ip,actions=controller(id={CONTROLLER_ID},userdata=01)")
    inject(bridge)
    values = dict(connection.packet_in().metadata)
    assert values[field("ct_nw_src")] == 0x0A000001
    assert values[field("ct_nw_dst")] == 0x0A000102
    assert (values[field("ct_tp_src")], values[field("ct_tp_dst")]) == (0xD903, 0x01BB)
    assert values[field("ct_nw_proto")] == 17
    assert values[field("ct_state")] & 0x20


def test_a_match_without_its_prerequisite_is_refused_by_name(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    connection = peer("br0")
    match = Match.of(MaskedField(field("tcp_dst"), 80, 0xFFFF))
    with pytest.raises(BridgeRefusalError, match="OFPBMC_BAD_PREREQ") as caught:
        connection.modify(FlowMod(FlowModCommand.ADD, 0, 5, match, 1))
    assert caught.value.refusal.request[:2] == bytes([4, openflow.MessageType.FLOW_MOD])
    assert bridge.ofctl("dump-flows", "br0", "table=0").count("cookie") == 0
