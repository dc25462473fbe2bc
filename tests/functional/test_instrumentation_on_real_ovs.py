"""D2, D3: what we install is accepted, invisible to traffic, logs what happened, and leaves nothing behind."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import cycle, product

import pytest
from datapath_actions import copies, departures
from openflow_peer import DEADLINE, OpenFlowPeer
from vfd_chain import CONTROLLER_ID, PORTS, VNI, Chain, bridge_id, traced

from vtrace_ovs.codecs import openflow
from vtrace_ovs.instrumentation.changes import changes
from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.instrumentation.marks import POOL_2, MarkPlan
from vtrace_ovs.instrumentation.plan import BridgePlan, ProbeKind
from vtrace_ovs.instrumentation.reading import LogReading, read_log
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import Flow, FlowMod
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import BridgeId, PortKind
from vtrace_ovs.session.rollout import Phase, Rollout

DESTINATIONS = (
    *(f"10.0.{n}.2" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    "10.0.1.1",
    "10.0.1.3",
    "10.0.2.9",
    "198.51.100.7",
)
SOURCES = ("10.0.1.1", "10.0.1.77", "172.16.0.1")
PROTOCOLS = ("tcp,tcp_dst=80", "tcp,tcp_dst=22", "udp,udp_dst=53", "icmp,icmp_type=8")


@pytest.fixture
def chain(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> Chain:
    built = Chain(ovs, peer)
    built.build()
    return built


def packet(in_port: int, source: str, destination: str, protocol: str = "udp,udp_dst=53", tos: int = 0) -> str:
    addresses = f"nw_src={source},nw_dst={destination}"
    return f"{protocol},in_port={in_port},{addresses},nw_ttl=64,nw_tos={tos & 0xFC},nw_ecn={tos & 3}"


OURS = packet(1, "10.0.1.1", "10.0.2.2")


def datapath(chain: Chain, bridge: str, flow: str) -> list[str]:
    return [line.removeprefix("Datapath actions: ") for line in chain.trace(bridge, flow).splitlines()]


def receive(
    chain: Chain, port: str, destination: str, *, tos: int = 0, ttl: int = 64, destination_port: int = 53
) -> None:
    chain.ovs.appctl(
        "netdev-dummy/receive",
        port,
        f"in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:fe),eth_type(0x0800),"
        f"ipv4(src=10.0.1.1,dst={destination},proto=17,tos={tos},ttl={ttl},frag=no),udp(src=4000,dst={destination_port})",
    )


def listen(chain: Chain) -> None:
    for peer in chain.peers.values():
        peer.listen(CONTROLLER_ID)


def readings(chain: Chain, bridge: str, count: int) -> list[LogReading]:
    """The next copies from one bridge; their arrival is awaited, and every one of them must be readable."""
    found = [read_log(chain.peers[bridge].packet_in(), chain.plans[bridge]) for _ in range(count)]
    assert all(found)
    return [reading for reading in found if reading is not None]


def nothing_more(chain: Chain, bridge: str) -> bool:
    """Whether the bridge has sent no further copy. A barrier reply comes after every packet-in sent before it."""
    return not chain.peers[bridge].waiting_packet_ins()


def as_sent(mod: FlowMod) -> tuple[object, ...]:
    return (mod.table_id, mod.priority, mod.match, mod.cookie, mod.hard_timeout)


def as_read(flow: Flow) -> tuple[object, ...]:
    return (flow.table_id, flow.priority, flow.match, flow.cookie, flow.hard_timeout)


def actions_of(flow: Flow | FlowMod) -> list[object]:
    return [getattr(instruction, "actions", instruction) for instruction in flow.instructions]


def test_every_flow_is_accepted_and_read_back_equal(chain: Chain) -> None:
    chain.arm(traced(protocol=17, destination_port=53))
    for name, plan in chain.plans.items():
        there = {flow.key: flow for flow in chain.peers[name].flows() if is_ours(flow.cookie)}
        mods = (*plan.sinks, *plan.sources)
        assert {as_read(flow) for flow in there.values()} == {as_sent(mod) for mod in mods}
        assert [actions_of(there[mod.key]) for mod in mods] == [actions_of(mod) for mod in mods]


def test_production_is_read_the_same_with_our_flows_among_it(chain: Chain) -> None:
    chain.arm(traced())
    before = chain.plans
    chain.plans = dict(before)
    assert {name: chain.plan(name, traced()) for name in PORTS} == before


def test_packets_leave_exactly_as_without_us(chain: Chain) -> None:
    corpus = [
        ("sw1", packet(port, source, destination, protocol, tos), tos)
        for (port, source, destination, protocol), tos in zip(
            product((1, 2), SOURCES, DESTINATIONS, PROTOCOLS), cycle((0, 0x29, 0xB8, 1, 2)), strict=False
        )
    ]
    plain = [datapath(chain, bridge, flow) for bridge, flow, _ in corpus]
    chain.arm(traced())
    copied = marked = 0
    for (bridge, flow, tos), expected in zip(corpus, plain, strict=True):
        lines = datapath(chain, bridge, flow)
        assert len(lines) == len(expected), flow
        for line, clean in zip(lines, expected, strict=True):
            copied += copies(line)
            for now, before in zip(departures(line, tos), departures(clean, tos), strict=True):
                if now.in_tunnel:
                    marked += now != before
                    assert now.without_dscp() == before.without_dscp(), flow
                else:
                    assert now == before, flow
    assert copied > 90
    assert marked > 0


def test_all_dscp_and_ecn_values_come_out_as_the_tenant_sent_them(chain: Chain) -> None:
    marks = MarkPlan.of().with_series(10)
    assert marks is not None
    chain.arm(traced(), marks=marks)
    carried = {mark.code for mark in marks.marks()}
    for tos in range(256):
        if tos >> 2 not in carried:
            assert tos_at_edges(chain, "10.0.2.2", tos) == {f"{tos:#x}"}


def test_a_tenants_own_use_of_a_mark_is_noticed_and_planned_around(chain: Chain) -> None:
    marks = MarkPlan.of()
    chain.arm(traced(), marks=marks)
    listen(chain)
    for code in [mark.code for mark in marks.marks()]:
        receive(chain, "vm1", "10.0.1.3", tos=code << 2)
        (reading,) = readings(chain, "sw1", 1)
        assert (reading.probe.kind, reading.slot) == (ProbeKind.UNCOLORED, 5)
        fewer = marks.without(code)
        assert fewer is not None
        marks = fewer
        chain.arm(traced(), marks=marks)
        assert tos_at_edges(chain, "10.0.2.2", code << 2) == {f"{code << 2:#x}"}
    assert tunnel_dscp(chain, "10.0.8.2") == [marks.code(1, 0)]
    chain.disarm()


def tos_at_edges(chain: Chain, destination: str, tos: int) -> set[str]:
    (line,) = datapath(chain, "sw1", packet(1, "10.0.1.1", destination, tos=tos))
    leaving = [departure for departure in departures(line, tos) if not departure.in_tunnel]
    assert len(leaving) == 2
    return {f"{departure.tos:#x}" for departure in leaving}


def tunnel_dscp(chain: Chain, destination: str, tos: int = 0) -> list[int]:
    (line,) = datapath(chain, "sw1", packet(1, "10.0.1.1", destination, tos=tos))
    return [departure.dscp for departure in departures(line, tos) if departure.in_tunnel]


def test_marks_leave_only_toward_armed_servers_in_the_tenants_vni(chain: Chain) -> None:
    chain.arm(traced())
    assert tunnel_dscp(chain, "10.0.8.2") == [3]
    assert tunnel_dscp(chain, "10.0.9.2") == [0]
    assert tunnel_dscp(chain, "10.0.6.2") == [0]
    assert tunnel_dscp(chain, "10.0.8.2", tos=46 << 2) == [46]


def test_a_real_packet_is_logged_at_every_hop_with_its_hop_index(chain: Chain) -> None:
    chain.arm(traced())
    listen(chain)
    receive(chain, "vm1", "10.0.2.2", tos=1)
    colored, first, second = readings(chain, "sw1", 3)
    routed_in, routed_out = readings(chain, "rt", 2)
    last_in, last_out = readings(chain, "sw2", 2)
    walk = (colored, first, routed_in, routed_out, last_in, last_out)
    assert [reading.hop_index for reading in walk] == [1, 1, 2, 2, 3, 3]
    assert [reading.probe.loc for reading in walk] == [Loc.IN, Loc.OUT] * 3
    assert {(reading.slot, reading.traced, reading.dscp) for reading in walk} == {(5, True, 0)}
    assert [(reading.probe.out_port, reading.marked) for reading in walk[1::2]] == [(2, True), (2, True), (1, False)]
    assert (second.probe.out_port, second.probe.port_kind) == (3, PortKind.EDGE)
    assert last_out.probe.flow is not None
    assert last_out.probe.flow.priority == 10


def test_copies_show_the_packet_as_the_tenant_sent_it(chain: Chain) -> None:
    chain.arm(traced())
    listen(chain)
    receive(chain, "vm1", "10.0.2.2", tos=1)
    for name in PORTS:
        assert chain.peers[name].packet_in().frame[15] == 1
        assert chain.peers[name].packet_in().frame[15] == 1


@pytest.mark.parametrize(
    ("destination", "table_id", "priority"), [("10.0.7.2", 10, 90), ("10.0.77.2", 20, None), ("10.0.2.77", 0, None)]
)
def test_drops_are_logged_where_they_happen(
    chain: Chain, destination: str, table_id: int, priority: int | None
) -> None:
    chain.arm(traced())
    listen(chain)
    receive(chain, "vm1", destination)
    bridge = "sw2" if destination.startswith("10.0.2") else "sw1"
    _, drop = readings(chain, bridge, 2)
    assert drop.probe.loc is Loc.ERROR
    assert drop.probe.table_id == table_id
    assert (drop.probe.flow and drop.probe.flow.priority) == priority


def test_a_miss_in_a_table_that_others_follow_is_no_drop(chain: Chain) -> None:
    chain.arm(traced())
    listen(chain)
    receive(chain, "vm1", "10.0.2.9")
    assert [reading.probe.loc for reading in readings(chain, "sw2", 2)] == [Loc.IN, Loc.OUT]
    assert nothing_more(chain, "sw2")


def test_output_back_to_the_ingress_port_is_read_as_suppressed_unless_asked_for(chain: Chain) -> None:
    chain.arm(traced())
    listen(chain)
    receive(chain, "vm1", "10.0.1.1")
    receive(chain, "vm1", "10.0.3.2")
    suppressed, hairpin = readings(chain, "sw1", 4)[1::2]
    assert (suppressed.suppressed, hairpin.suppressed) == (True, False)


def test_conntrack_and_nat_keep_the_trace_and_production_apart(chain: Chain) -> None:
    chain.arm(traced())
    listen(chain)
    receive(chain, "vm1", "10.0.5.2")
    came, left = readings(chain, "sw1", 2)
    assert (came.probe.loc, left.probe.loc, left.probe.table_id) == (Loc.IN, Loc.OUT, 21)


def test_copies_are_capped_by_the_meter_and_packets_are_not(chain: Chain) -> None:
    chain.arm(traced())
    listen(chain)
    burst = chain.plans["sw2"].meters[0].burst
    sent = burst
    for _ in range(sent):
        receive(chain, "vm1", "10.0.2.2")
    deadline = time.monotonic() + DEADLINE
    while forwarded(chain) < sent:
        assert time.monotonic() < deadline
    copied = len(chain.peers["sw2"].waiting_packet_ins())
    assert burst <= copied < 2 * sent
    counters = openflow.meter_counters(chain.peers["sw2"].multipart(openflow.meter_stats_request).body)
    assert counters[0].packets_dropped > 0


def forwarded(chain: Chain) -> int:
    chain.ovs.appctl("revalidator/wait")
    statistics = openflow.port_counters(chain.peers["sw2"].multipart(openflow.port_stats_request).body)
    sent = next(port.tx_packets for port in statistics if port.ofport == 1)
    assert sent is not None
    return sent


def test_disarming_leaves_flows_and_meters_as_they_were(chain: Chain) -> None:
    chain.ovs.ofctl("add-meter", "rt", "meter=4,pktps,burst,band=type=drop,rate=10,burst_size=5")
    before = chain.dumps()
    chain.arm(traced(protocol=6))
    assert chain.plans["rt"].meter_ids.traced == 5
    chain.arm(traced(protocol=6), replace(traced(protocol=17), slot=6, deadline=1060.0))
    chain.disarm()
    assert chain.dumps() == before


def test_a_mark_forged_by_a_tenant_is_not_taken_for_one_at_its_own_port(chain: Chain) -> None:
    chain.arm(traced())
    listen(chain)
    for code in MarkPlan.of().codes:
        receive(chain, "vm1", "10.0.1.3", tos=code << 2)
        (reading,) = readings(chain, "sw1", 1)
        assert (reading.traced, reading.probe.kind.name) == (False, "UNCOLORED")
    assert nothing_more(chain, "sw1")


def test_a_marked_packet_that_is_no_tasks_passes_unchanged(chain: Chain) -> None:
    chain.arm(traced(protocol=6))
    listen(chain)
    receive(chain, "vm1", "10.0.2.2", tos=3 << 2)
    (foreign,) = readings(chain, "rt", 1)
    assert (foreign.traced, foreign.probe.kind.name) == (False, "FOREIGN")
    (line,) = datapath(chain, "sw1", packet(1, "10.0.1.1", "10.0.2.2", tos=3 << 2))
    assert {departure.dscp for departure in departures(line, 3 << 2)} == {3}


def test_a_marked_packet_in_a_tunnel_of_another_vni_passes_unchanged(chain: Chain) -> None:
    chain.arm(traced())
    arriving = "udp,in_port=4,tun_src=198.18.7.2,tun_dst=198.18.7.1,nw_src=10.0.1.1,nw_dst=10.0.1.3,nw_ttl=9,nw_tos=12"
    (ours,) = datapath(chain, "sw1", f"{arriving},tun_id={VNI}")
    (theirs,) = datapath(chain, "sw1", f"{arriving},tun_id={VNI + 1}")
    assert [departure.dscp for departure in departures(ours, 12)] == [0]
    assert [departure.dscp for departure in departures(theirs, 12)] == [3]


def test_plans_are_equal_when_nothing_changed(chain: Chain) -> None:
    chain.arm(traced())
    plan: BridgePlan = chain.plans["sw1"]
    assert chain.plan("sw1", traced()) == plan


def test_a_packet_under_way_is_followed_to_its_end_between_any_two_flows_of_another_task(chain: Chain) -> None:
    """Of tasks a packet may be of, Open vSwitch takes the one with the fields it has looked for first."""
    same_fields, wider, third = replace(traced(17, 99), slot=7), traced(), replace(traced(17, 53), slot=6)
    flow = packet(1, "10.0.1.1", "10.0.2.2")
    chain.arm(same_fields)
    chain.arm(same_fields, wider)
    followed = copies("".join(datapath(chain, "sw1", flow)))
    assert followed == 7  # in and out at three VFDs, and a second output
    more = {name: chain.plan(name, same_fields, wider, third) for name in PORTS}
    arming = {name: changes(chain.plans[name], plan) for name, plan in more.items()}
    disarming = {name: changes(plan, chain.plans[name]) for name, plan in more.items()}
    mods = [
        *((name, mod) for name in PORTS for mod in arming[name].sinks_add),
        *((name, mod) for name in PORTS for mod in arming[name].relays_add),
        *((name, mod) for name in PORTS for mod in arming[name].sources_add),
        *((name, mod) for name in PORTS for mod in disarming[name].sources_delete),
        *((name, mod) for name in PORTS for mod in disarming[name].relays_add),
        *((name, mod) for name in PORTS for mod in disarming[name].relays_delete),
        *((name, mod) for name in PORTS for mod in disarming[name].sinks_delete),
    ]
    assert len(mods) > 20
    for name, mod in mods:
        chain.peers[name].modify(mod)
        chain.peers[name].barrier()
        assert copies("".join(datapath(chain, "sw1", flow))) == followed, (name, mod)


@pytest.mark.parametrize("state", ["register", "pkt_mark"])
@pytest.mark.parametrize("backwards", [False, True])
def test_no_packet_keeps_a_mark_while_bridges_change_one_after_the_other(
    chain: Chain, state: str, *, backwards: bool
) -> None:
    """Nor does one that a tenant forged become another. A series comes, code points are given back, all ends."""
    if state == "pkt_mark":
        chain.take_registers()
    first = MarkPlan.of()
    wider = first.with_series(10)
    fewer = wider and wider.without(first.code(2, 0))
    fewer = fewer and fewer.without(first.code(3, 0))
    assert wider is not None
    assert fewer is not None
    followed = set[int]()
    for marks in (first, wider, fewer, None):
        wanted = {name: None if marks is None else chain.plan(name, traced(), marks=marks) for name in PORTS}
        assert {plan.state.outlives_the_bridge for plan in wanted.values() if plan} <= {state == "pkt_mark"}
        rollout = Rollout.between(1, by_id(chain.plans), by_id(wanted), {})
        while programs := rollout.advance():
            for program in reversed(programs) if backwards else programs:
                chain.send(program.bridge.name, program.mods)
                rollout.confirmed(program.bridge, ())
                for code in (0, *POOL_2):
                    assert tos_at_edges(chain, "10.0.2.2", code << 2) <= {f"{dscp << 2:#x}" for dscp in (code, 0, 10)}
                colored = rollout.phase in {Phase.SINKS_IN, Phase.RELAYS_IN} and marks is not first
                followed |= {copies(line) for line in datapath(chain, "sw1", OURS)} if colored else set()
        chain.plans = {name: plan for name, plan in wanted.items() if plan is not None}
    assert followed == {7}
    assert not any("cookie=0x5654" in line for flows, _ in chain.dumps().values() for line in flows)


def by_id(plans: Mapping[str, BridgePlan | None]) -> dict[BridgeId, BridgePlan | None]:
    return {bridge_id(name): plan for name, plan in plans.items()}
