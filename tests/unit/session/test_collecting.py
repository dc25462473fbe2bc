from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from session_network import CS1, CS2, DB, TUNNEL_PORT, VM_PORT, VNI, VTEPS, WEB, headers
from session_world import START, World

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.reading import read_log
from vtrace_ovs.model.packet import FiveTuple, Tunnel
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.collecting import PacketGroup, of_task, record_of
from vtrace_ovs.session.events import PacketInReceived
from vtrace_ovs.trajectories.identity import packet_id


def recorded(world: World, event: PacketInReceived, *known: PacketInRecord) -> PacketInRecord:
    plan, bridge = world.plan(event.bridge), world.topology.bridge(event.bridge)
    assert plan is not None
    assert bridge is not None
    reading = read_log(event.packet_in, plan)
    assert reading is not None
    group = PacketGroup(START)
    for record in known:
        group.add(record, START, enters=False, beyond=False)
    return of_task(record_of(event, reading, bridge, world.topology), 4, 9, group)


def test_a_colored_packet_is_in_at_hop_one_of_its_server(armed: World) -> None:
    record = recorded(armed, armed.entering(headers()))
    assert (record.bridge, record.node_ip, record.loc, record.dscp_mark) == (CS1, VTEPS[CS1], Loc.IN, 1)
    assert (record.in_port, record.out_port, record.tunnel) == (VM_PORT, None, None)
    assert (record.task_id, record.sequence, record.timestamp) == (4, 9, START)
    assert record.packet_id == packet_id(headers())
    assert record.five_tuple == FiveTuple(6, WEB, DB, 40000, 443)
    assert (record.msg, record.flow) == (RecordMsg.NONE, None)


def test_a_packet_that_leaves_by_a_tunnel_names_it_and_its_flow(armed: World) -> None:
    record = recorded(armed, armed.leaving(headers()))
    assert (record.loc, record.out_port) == (Loc.OUT, TUNNEL_PORT)
    assert record.tunnel == Tunnel(VNI, VTEPS[CS1], VTEPS[CS2])
    assert record.flow == armed.production[CS1][1].key
    assert record.msg == RecordMsg.NONE


def test_a_packet_that_arrives_by_a_tunnel_names_it(armed: World) -> None:
    record = recorded(armed, armed.arriving(headers()))
    assert (record.bridge, record.loc, record.dscp_mark) == (CS2, Loc.IN, 2)
    assert record.tunnel == Tunnel(VNI, VTEPS[CS1], VTEPS[CS2])


def test_a_packet_that_leaves_without_a_mark_says_so(armed: World) -> None:
    probe = armed.probe(CS1, ProbeKind.OUT, TUNNEL_PORT)
    event = armed.copy(CS1, probe, armed.state(1), headers(), in_port=VM_PORT, tun_id=VNI)
    assert recorded(armed, event).msg == RecordMsg.UNMARKED


def test_a_packet_of_protocol_zero_leaves_by_a_tunnel_without_a_mark(armed: World) -> None:
    nothing = replace(headers(), five_tuple=FiveTuple(0, WEB, DB))
    assert recorded(armed, armed.leaving(nothing)).msg == RecordMsg.UNMARKED


def test_an_output_to_the_ingress_port_says_that_nothing_is_sent(armed: World) -> None:
    probe = armed.probe(CS2, ProbeKind.OUT, VM_PORT)
    event = armed.copy(CS2, probe, armed.state(2), headers(), in_port=VM_PORT)
    assert recorded(armed, event).msg == RecordMsg.SUPPRESSED


def test_the_key_and_the_ends_of_a_configured_tunnel_stand_in_for_what_the_packet_does_not_say(armed: World) -> None:
    ports = (armed.topology.bridges[0].ports[0], replace(armed.topology.bridges[0].ports[1], remote=DB, key=77))
    bridges = (replace(armed.topology.bridges[0], ports=ports), *armed.topology.bridges[1:])
    armed.topology = replace(armed.topology, bridges=bridges)
    probe = armed.probe(CS1, ProbeKind.OUT, TUNNEL_PORT)
    event = armed.copy(CS1, probe, armed.state(1), headers(), in_port=VM_PORT)
    assert recorded(armed, event).tunnel == Tunnel(77, VTEPS[CS1], DB)


def test_the_ends_of_a_tunnel_are_of_one_family(armed: World) -> None:
    near, far = IPv6Address("fd31::1"), IPv6Address("fd31::2")
    nodes = tuple(replace(node, vteps=(*node.vteps, near)) for node in armed.topology.nodes)
    armed.topology = replace(armed.topology, nodes=nodes)
    probe = armed.probe(CS1, ProbeKind.OUT, TUNNEL_PORT)
    where = {"in_port": VM_PORT, "tun_id": VNI}
    left = armed.copy(CS1, probe, armed.state(1), headers(), tun_ipv6_dst=int(far), **where)
    assert recorded(armed, left).tunnel == Tunnel(VNI, near, far)
    arrived = armed.probe(CS2, ProbeKind.ARRIVED)
    came = armed.copy(CS2, arrived, armed.state(2), headers(), in_port=TUNNEL_PORT, tun_id=VNI, tun_ipv6_src=int(far))
    assert recorded(armed, came).tunnel == Tunnel(VNI, far, near)
    assert recorded(armed, armed.leaving(headers())).tunnel == Tunnel(VNI, VTEPS[CS1], VTEPS[CS2])


def test_a_drop_has_no_tunnel(armed: World) -> None:
    record = recorded(armed, armed.dropped(headers(port=22)))
    assert (record.loc, record.tunnel, record.out_port) == (Loc.ERROR, None, None)


def tracked(world: World, original: FiveTuple, ct_state: int) -> PacketInReceived:
    assert original.source_port is not None
    assert original.destination_port is not None
    return world.copy(
        CS1,
        world.probe(CS1, ProbeKind.OUT, TUNNEL_PORT),
        world.state(1),
        headers(),
        in_port=VM_PORT,
        ct_nw_proto=6,
        ct_nw_src=int(original.source),
        ct_nw_dst=int(original.destination),
        ct_tp_src=original.source_port,
        ct_tp_dst=original.destination_port,
        ct_state=ct_state,
    )


NOW = FiveTuple(6, WEB, DB, 40000, 443)
BEFORE = FiveTuple(6, IPv4Address("172.16.0.9"), DB, 5000, 443)


def test_a_translated_packet_carries_the_five_tuple_before_and_the_key_after(armed: World) -> None:
    record = recorded(armed, tracked(armed, BEFORE, 0x22))
    assert (record.five_tuple, record.nat_key) == (BEFORE, NOW)
    assert record.ct_state == 0x22


def test_conntrack_does_not_tell_what_a_reply_was_before(armed: World) -> None:
    record = recorded(armed, tracked(armed, BEFORE, 0x2A))
    assert (record.five_tuple, record.nat_key) == (NOW, None)


def test_a_tracked_packet_nobody_translated_has_no_key(armed: World) -> None:
    record = recorded(armed, tracked(armed, NOW, 0x22))
    assert (record.five_tuple, record.nat_key) == (NOW, None)


def test_what_the_packet_came_in_as_says_more_than_conntrack(armed: World) -> None:
    """Of several translations in one VFD, conntrack names only the last."""
    first = FiveTuple(6, IPv4Address("172.16.0.1"), DB, 40000, 443)
    arrived = replace(recorded(armed, armed.entering(headers())), five_tuple=first)
    record = recorded(armed, tracked(armed, BEFORE, 0x22), arrived)
    assert (record.five_tuple, record.nat_key) == (first, NOW)


def test_twins_that_came_in_differently_leave_the_key_open(armed: World) -> None:
    arrived = recorded(armed, armed.entering(headers()))
    record = recorded(armed, armed.leaving(headers()), arrived, replace(arrived, five_tuple=BEFORE))
    assert (record.five_tuple, record.nat_key) == (NOW, None)


def test_a_group_knows_how_many_packets_it_holds() -> None:
    group = PacketGroup(START)
    record = PacketInRecord(0, 1, BridgeId("s", "b"), None, Loc.IN, "p", None, headers(), 1, 1, START)
    group.add(replace(record, dscp_mark=2), START, enters=False, beyond=False)
    assert (group.packets, group.undecided) == (0, True)
    for beyond in (False, False, True):
        group.add(record, START + 1, enters=True, beyond=beyond)
    assert (group.packets, group.entered, group.last_at) == (2, 3, START + 1)
