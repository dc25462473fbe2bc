"""Three servers: s1 has br0 (patched to rt) and a tunnel, s2 and s3 a tunnel each; packets enter at s1/br0."""

from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.fragments import fragment_matches
from vtrace_ovs.instrumentation.plan import SourcePorts
from vtrace_ovs.instrumentation.reach import filter_match
from vtrace_ovs.instrumentation.spread import MOST_LOOKS, Memory, Neighbourhood, spread
from vtrace_ovs.model import oxm
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_NORMAL,
    Action,
    ApplyActions,
    Bundle,
    Clone,
    Conjunction,
    Conntrack,
    Controller,
    Group,
    Instruction,
    Learn,
    Move,
    Nat,
    Output,
    OutputSubField,
    PushMpls,
    Resubmit,
    SetField,
    UnknownAction,
    UnknownInstruction,
    WriteActions,
)
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology

ENTRY, ROUTER, S2, S3, UNDERLAY = (
    BridgeId("s1", "br0"),
    BridgeId("s1", "rt"),
    BridgeId("s2", "br0"),
    BridgeId("s3", "br0"),
    BridgeId("s1", "phy"),
)
VM, PATCH, TUNNEL, TO_S3, TO_PHY = 1, 2, 3, 4, 5
VTEPS = {f"s{n}": IPv4Address(f"192.0.2.{n}") for n in (1, 2, 3)}
OTHERS = frozenset({ROUTER, S2, S3})
DB = IPv4Address("10.0.2.1")
VM_SOURCE = SourcePorts(ENTRY, frozenset({VM}))
TRAFFIC = filter_match(Filter("", protocol=6, destination=IPv4Network(DB), destination_port=443))
REGISTER = oxm.SubField(oxm.REGISTERS[0], 0, 16)


def _bridge(place: BridgeId, *ports: Port, role: BridgeRole = BridgeRole.VSWITCH) -> Bridge:
    return Bridge(place, None, role, ports, ManagementSocket(""))


AROUND = Neighbourhood(
    Topology(
        tuple(Node(name, "", (vtep,)) for name, vtep in VTEPS.items()),
        (
            _bridge(
                ENTRY,
                Port(VM, "vm", PortKind.EDGE),
                Port(PATCH, "to-rt", PortKind.PATCH, peer="to-br0"),
                Port(TUNNEL, "vx", PortKind.TUNNEL),
                Port(TO_S3, "to-s3", PortKind.TUNNEL, remote=VTEPS["s3"]),
                Port(TO_PHY, "to-phy", PortKind.PATCH, peer="phy-to-br0"),
            ),
            _bridge(ROUTER, Port(1, "to-br0", PortKind.PATCH, peer="to-rt")),
            _bridge(S2, Port(TUNNEL, "vx", PortKind.TUNNEL)),
            _bridge(S3, Port(TUNNEL, "vx", PortKind.TUNNEL)),
            _bridge(UNDERLAY, Port(1, "phy-to-br0", PortKind.PATCH, peer="to-phy"), role=BridgeRole.UNDERLAY),
        ),
    )
)


def exact(entry: oxm.Field, value: int) -> MaskedField:
    return MaskedField(entry, value, entry.full_mask)


def flow(*actions: Action, toward: IPv4Address | None = None, table_id: int = 0, cookie: int = 0) -> Flow:
    match = Match() if toward is None else Match.of(exact(oxm.ETH_TYPE, 0x0800), exact(oxm.IPV4_DST, int(toward)))
    return Flow(table_id, 10, match, (ApplyActions(actions),), cookie)


def tables(*flows: Flow, groups: tuple[GroupEntry, ...] = ()) -> BridgeTables:
    return BridgeTables(1, 0.0, flows, groups)


def into(server: str) -> tuple[Action, ...]:
    return SetField(oxm.TUN_DST, int(VTEPS[server]), 0xFFFFFFFF), Output(TUNNEL)


def back(server: str) -> tuple[Action, ...]:
    """From tunnel to tunnel: Open vSwitch drops what goes out where it came in, unless that is said."""
    return SetField(oxm.TUN_DST, int(VTEPS[server]), 0xFFFFFFFF), Output(OFPP_IN_PORT)


def beyond_entry(read: BridgeTables, **others: BridgeTables) -> frozenset[BridgeId]:
    known = {ENTRY: read} | {BridgeId(name, "br0"): found for name, found in others.items()}
    return frozenset(spread((VM_SOURCE,), (TRAFFIC,), known, AROUND, Memory())) - {ENTRY}


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ((), set()),
        ((Output(VM),), set()),
        ((Output(OFPP_LOCAL),), set()),
        ((Output(OFPP_IN_PORT),), set()),
        ((Output(PATCH),), {ROUTER}),
        ((Output(TO_PHY),), set()),
        (into("s2"), {S2}),
        ((SetField(oxm.TUN_DST, int(IPv4Address("198.51.100.1")), 0xFFFFFFFF), Output(TUNNEL)), set()),
        ((Output(TO_S3),), {S3}),
        ((Clone((Output(PATCH),)),), {ROUTER}),
        ((Bundle(active_backup=False, members=(VM, PATCH), destination=None, raw=b""),), {ROUTER}),
    ],
    ids=["drop", "VM", "host", "back", "patch", "underlay", "tunnel", "outside", "fixed tunnel", "clone", "bundle"],
)
def test_what_flows_say_is_followed(actions: tuple[Action, ...], expected: set[BridgeId]) -> None:
    assert beyond_entry(tables(flow(*actions))) == expected


@pytest.mark.parametrize(
    "actions",
    [
        (Output(OFPP_NORMAL),),
        (Output(OFPP_FLOOD),),
        (Output(OFPP_CONTROLLER),),
        (Controller(0),),
        (Move(oxm.SubField(oxm.ETH_DST, 0, 16), REGISTER), OutputSubField(REGISTER)),
        (Learn(5),),
        (PushMpls(0x8847),),
        (UnknownAction("odd", b""),),
        (Clone((Output(OFPP_NORMAL),)),),
    ],
    ids=["NORMAL", "FLOOD", "CONTROLLER", "controller", "register", "learn", "MPLS", "unknown", "nested"],
)
def test_what_flows_leave_open_is_everything_behind_any_port(actions: tuple[Action, ...]) -> None:
    assert beyond_entry(tables(flow(*actions))) >= OTHERS


def test_an_instruction_nobody_knows_leaves_everything_open() -> None:
    odd = Flow(0, 10, Match(), (UnknownInstruction("odd", b""),))
    assert beyond_entry(tables(odd)) >= OTHERS


def test_a_tunnel_destination_from_elsewhere_may_be_any_server() -> None:
    moved = Move(REGISTER, oxm.SubField(oxm.TUN_DST, 0, 16))
    assert beyond_entry(tables(flow(moved, Output(TUNNEL)))) == {S2, S3}


def test_flows_that_packets_cannot_hit_lead_nowhere() -> None:
    elsewhere = flow(*into("s2"), toward=IPv4Address("10.0.3.1"))
    unreachable = flow(*into("s3"), table_id=7)
    assert beyond_entry(tables(elsewhere, unreachable, flow(Output(PATCH)))) == {ROUTER}


def test_later_tables_and_action_sets_lead_on() -> None:
    written: tuple[Instruction, ...] = (WriteActions((Output(TO_S3),)),)
    read = tables(flow(Resubmit(None, 7)), flow(*into("s2"), table_id=7), Flow(7, 10, Match(), written))
    assert beyond_entry(read) == {S2, S3}


def test_buckets_of_groups_lead_on() -> None:
    group = GroupEntry(9, GroupType.ALL, (Bucket(0, 0, 0, (Output(PATCH),)), Bucket(0, 0, 0, into("s2"))))
    assert beyond_entry(tables(flow(Group(9)), groups=(group,))) == {ROUTER, S2}
    assert beyond_entry(tables(flow(), groups=(group,))) == set()
    assert beyond_entry(tables(flow(Group(10)), groups=(group,))) == set()


def test_groups_within_groups_are_followed_and_circles_of_them_leave_everything_open() -> None:
    inner = GroupEntry(10, GroupType.ALL, (Bucket(0, 0, 0, (Output(PATCH),)),))
    outer = GroupEntry(9, GroupType.ALL, (Bucket(0, 0, 0, (Group(10),)),))
    circle = GroupEntry(9, GroupType.ALL, (Bucket(0, 0, 0, (Group(9),)),))
    assert beyond_entry(tables(flow(Group(9)), groups=(outer, inner))) == {ROUTER}
    assert beyond_entry(tables(flow(Group(9)), groups=(circle,))) >= OTHERS


def test_the_way_goes_on_where_tables_are_known() -> None:
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(flow(*back("s3"), toward=DB))) == {S2, S3}
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(flow(*back("s3"), toward=IPv4Address("10.0.9.9")))) == {S2}
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(flow(*into("s3"), toward=DB))) == {S2}


def test_circles_end() -> None:
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(flow(*back("s1")))) == {S2}


@pytest.mark.parametrize(
    "translating",
    [
        SetField(oxm.IPV4_DST, int(IPv4Address("10.0.9.9")), 0xFFFFFFFF),
        Conntrack(commit=True, force=False, zone=1, table_id=None, nested=(Nat(source=False, destination=True),)),
    ],
    ids=["set_field", "ct"],
)
def test_packets_are_followed_through_translations(translating: Action) -> None:
    onward = flow(*back("s3"), toward=IPv4Address("10.0.9.9"))
    assert S3 not in beyond_entry(tables(flow(*into("s2"))), s2=tables(onward))
    assert S3 in beyond_entry(tables(flow(translating, *into("s2"))), s2=tables(onward))


def test_a_look_found_later_widens_what_was_found_before() -> None:
    """s2 is first reached as the packets are, then, round by s3, translated."""
    translating = SetField(oxm.IPV4_DST, int(IPv4Address("10.0.9.9")), 0xFFFFFFFF)
    entry = tables(
        flow(*into("s2"), toward=DB),
        flow(Output(TO_S3), toward=DB),
        flow(Output(PATCH), toward=IPv4Address("10.0.9.9")),
    )
    s2 = tables(flow(Output(1), toward=DB), flow(*back("s1")))
    assert ROUTER not in beyond_entry(entry, s2=s2)
    assert ROUTER in beyond_entry(entry, s2=s2, s3=tables(flow(translating, *back("s2"))))


def priority(entry: Flow, number: int) -> Flow:
    return replace(entry, priority=number)


def test_flows_below_one_that_takes_all_these_packets_lead_nowhere() -> None:
    below = priority(flow(Output(PATCH)), 5)
    assert beyond_entry(tables(flow(*into("s2"), toward=DB), below)) == {S2}
    assert beyond_entry(tables(flow(*into("s2"), toward=DB), flow(Output(PATCH)))) == {S2, ROUTER}


@pytest.mark.parametrize("expiring", [{"idle_timeout": 10}, {"hard_timeout": 10}], ids=str)
def test_flows_below_one_that_will_be_gone_are_looked_at(expiring: dict[str, Any]) -> None:
    first = replace(flow(*into("s2"), toward=DB), **expiring)
    assert beyond_entry(tables(first, priority(flow(Output(PATCH)), 5))) == {S2, ROUTER}


def test_a_part_of_a_conjunction_is_no_match() -> None:
    part = flow(Conjunction(7, 0, 2), toward=DB)
    assert beyond_entry(tables(part, priority(flow(Output(PATCH)), 5))) == {ROUTER}


def test_what_one_table_finds_out_the_next_knows() -> None:
    """Packets of one network stay there: the register that names it tells them from those of others."""
    register = oxm.REGISTERS[1]
    named = Match.of(exact(register, 2))
    read = tables(
        flow(SetField(register, 1, register.full_mask), Resubmit(None, 7)),
        Flow(7, 10, named, (ApplyActions(into("s3")),)),
        Flow(7, 10, Match.of(exact(register, 1)), (ApplyActions(into("s2")),)),
    )
    assert beyond_entry(read) == {S2}


def test_behind_a_resubmit_anything_the_bridge_writes_may_have_changed() -> None:
    register = oxm.REGISTERS[1]
    chosen = OutputSubField(oxm.SubField(register, 0, 16))
    read = tables(flow(Resubmit(None, 7), chosen), flow(SetField(register, PATCH, register.full_mask), table_id=7))
    assert beyond_entry(read) >= {ROUTER}
    assert beyond_entry(tables(flow(SetField(register, PATCH, register.full_mask), chosen))) == {ROUTER}


def test_networks_stay_apart_across_tunnels() -> None:
    def of_network(vni: int, *actions: Action) -> Flow:
        match = Match.of(exact(oxm.IN_PORT, TUNNEL), exact(oxm.TUN_ID, vni))
        return Flow(0, 10, match, (ApplyActions(actions),))

    entry = tables(flow(SetField(oxm.TUN_ID, 5001, oxm.TUN_ID.full_mask), *into("s2")))
    assert beyond_entry(entry, s2=tables(of_network(5001, *back("s3")))) == {S2, S3}
    assert beyond_entry(entry, s2=tables(of_network(5002, *back("s3")))) == {S2}
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(of_network(5002, *back("s3")))) == {S2}


def test_more_looks_than_are_told_apart_become_one() -> None:
    """Every MAC leads to a table of its own in the end; only what all have in common is known there."""
    register = oxm.REGISTERS[1]

    def marked(number: int) -> Flow:
        return Flow(
            0,
            10,
            Match.of(exact(oxm.ETH_DST, number)),
            (ApplyActions((SetField(register, number, register.full_mask), Resubmit(None, 7))),),
        )

    def chosen(number: int) -> Flow:
        return Flow(7, 10, Match.of(exact(register, number)), (ApplyActions((Output(PATCH),)),))

    few, many = range(1, MOST_LOOKS), range(1, 3 * MOST_LOOKS)
    assert beyond_entry(tables(*map(marked, few), chosen(999))) == set()
    assert beyond_entry(tables(*map(marked, many), chosen(999))) == {ROUTER}


def test_fragments_are_followed_whatever_ports_they_show() -> None:
    (fragments,) = fragment_matches(Filter("", protocol=6, destination=IPv4Network(DB), destination_port=443))
    ports = Match.of(exact(oxm.ETH_TYPE, 0x0800), exact(oxm.IP_PROTO, 6), exact(oxm.TCP_DST, 443))
    read = tables(Flow(0, 10, ports, (ApplyActions((Output(PATCH),)),)))
    assert ROUTER in spread((VM_SOURCE,), (fragments,), {ENTRY: read}, AROUND, Memory())


def test_flows_of_this_tool_are_no_way() -> None:
    ours = Cookie(1, CookieKind.CLONE).value
    assert beyond_entry(tables(flow(Output(PATCH), cookie=ours))) == set()


def test_entries_the_inventory_does_not_name_are_left_out() -> None:
    elsewhere = SourcePorts(UNDERLAY, frozenset({1}))
    assert spread((elsewhere, VM_SOURCE), (TRAFFIC,), {}, AROUND, Memory()).keys() == {ENTRY}


def test_the_answer_is_remembered_until_tables_on_the_way_change() -> None:
    memory = Memory()
    read = tables(flow(*into("s2")))
    spread((VM_SOURCE,), (TRAFFIC,), {ENTRY: read}, AROUND, memory)
    answer = memory.answers[0]
    spread((VM_SOURCE,), (TRAFFIC,), {ENTRY: read, S3: tables()}, AROUND, memory)
    assert memory.answers[0] is answer
    assert spread((VM_SOURCE,), (TRAFFIC,), {ENTRY: tables(flow())}, AROUND, memory).keys() == {ENTRY}


def shares(entry: BridgeTables, *sources: SourcePorts, **others: BridgeTables) -> dict[BridgeId, Fraction]:
    """Of packets that enter at the VM of s1, unless told otherwise."""
    known = {ENTRY: entry, ROUTER: BACK} | {BridgeId(name, "br0"): found for name, found in others.items()}
    return dict(spread(sources or (VM_SOURCE,), (TRAFFIC,), known, AROUND, Memory()))


def from_port(in_port: int, *actions: Action) -> Flow:
    return Flow(0, 10, Match.of(exact(oxm.IN_PORT, in_port)), (ApplyActions(actions),))


BACK = tables(flow(Output(OFPP_IN_PORT)))
ROUTED = tables(from_port(VM, Output(PATCH)), from_port(PATCH, *into("s2")))
"""Through the router and back, and out by the tunnel."""
HALF, WHOLE = Fraction(1, 2), Fraction(1)


def test_a_packet_that_comes_back_from_a_router_passes_twice() -> None:
    assert shares(ROUTED) == {ENTRY: WHOLE, ROUTER: HALF, S2: HALF}


def test_a_packet_that_comes_back_by_a_tunnel_as_well_passes_a_third_time() -> None:
    third = Fraction(1, 3)
    assert shares(ROUTED, s2=tables(flow(*back("s1")))) == {ENTRY: WHOLE, ROUTER: third, S2: third}


def test_a_packet_enters_by_one_port_however_many_it_may_enter_by() -> None:
    straight = tables(flow(*into("s2")))
    assert shares(straight, SourcePorts(ENTRY, frozenset({VM, 7, 8}))) == {ENTRY: WHOLE, S2: WHOLE}


def test_a_packet_enters_at_one_vfd_however_many_it_may_enter_at() -> None:
    elsewhere = SourcePorts(S2, frozenset({1}))
    assert shares(ROUTED, VM_SOURCE, elsewhere, s2=tables()) == {ENTRY: WHOLE, ROUTER: HALF, S2: HALF}


def test_a_packet_comes_by_one_tunnel_where_it_may_come_by_several() -> None:
    ways = tables(from_port(VM, Output(PATCH), Output(TO_S3)), from_port(PATCH, *into("s2")))
    assert shares(ways, s2=tables(flow(*back("s3")))) == {ENTRY: WHOLE, ROUTER: HALF, S2: HALF, S3: HALF}


def test_where_packets_may_go_round_it_is_not_known_how_often_they_do() -> None:
    found = shares(ROUTED, s2=tables(flow(*back("s3"))), s3=tables(flow(*back("s2"))))
    assert found == dict.fromkeys((ENTRY, ROUTER, S2, S3), WHOLE)


def test_what_leaves_when_its_port_is_forgotten_may_have_come_by_any() -> None:
    """Back to the router, for all that is known: round and round."""
    forgotten = (SetField(oxm.IN_PORT, 0xFFFF, oxm.IN_PORT.full_mask), Resubmit(None, 7))
    onward = flow(Output(PATCH), table_id=7), flow(*into("s2"), table_id=7)
    found = shares(tables(from_port(VM, *forgotten), from_port(PATCH, *forgotten), *onward))
    assert found == dict.fromkeys((ENTRY, ROUTER, S2), WHOLE)


@pytest.mark.parametrize("open_to_all", [Output(OFPP_NORMAL), Output(OFPP_FLOOD), Controller(0)], ids=str)
def test_behind_ports_that_no_flow_names_it_is_not_known(open_to_all: Action) -> None:
    found = shares(tables(from_port(VM, Output(PATCH)), from_port(PATCH, open_to_all)))
    assert {ROUTER, S2, S3} <= found.keys()
    assert set(found.values()) == {WHOLE}


def test_behind_a_tunnel_that_may_lead_anywhere_back_to_the_first_too_it_is_not_known() -> None:
    moved = Move(REGISTER, oxm.SubField(oxm.TUN_DST, 0, 16))
    found = shares(tables(from_port(VM, Output(PATCH)), from_port(PATCH, moved, Output(TUNNEL))))
    assert found == dict.fromkeys((ENTRY, ROUTER, S2, S3), WHOLE)


def test_how_often_is_found_anew_when_tables_change() -> None:
    memory = Memory()
    for read, share in ((ROUTED, HALF), (tables(flow(*into("s2"))), WHOLE), (ROUTED, HALF)):
        assert spread((VM_SOURCE,), (TRAFFIC,), {ENTRY: read, ROUTER: BACK}, AROUND, memory)[S2] == share
