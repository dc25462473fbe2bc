"""Three servers: s1 has br0 (patched to rt) and a tunnel, s2 and s3 a tunnel each; packets enter at s1/br0."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.reach import filter_match
from vtrace_ovs.instrumentation.spread import Known, Neighbourhood, spread
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


def beyond_entry(read: BridgeTables, **others: BridgeTables) -> frozenset[BridgeId]:
    known = {ENTRY: read} | {BridgeId(name, "br0"): found for name, found in others.items()}
    return spread([ENTRY], [TRAFFIC], known, AROUND) - {ENTRY}


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ((), set()),
        ((Output(VM),), set()),
        ((Output(OFPP_LOCAL),), set()),
        ((Output(PATCH),), {ROUTER}),
        ((Output(TO_PHY),), set()),
        (into("s2"), {S2}),
        ((SetField(oxm.TUN_DST, int(IPv4Address("198.51.100.1")), 0xFFFFFFFF), Output(TUNNEL)), set()),
        ((Output(TO_S3),), {S3}),
        ((Clone((Output(PATCH),)),), {ROUTER}),
        ((Bundle(active_backup=False, members=(VM, PATCH), destination=None, raw=b""),), {ROUTER}),
    ],
    ids=["drop", "VM", "host", "patch", "underlay", "tunnel", "outside", "fixed tunnel", "clone", "bundle"],
)
def test_what_flows_say_is_followed(actions: tuple[Action, ...], expected: set[BridgeId]) -> None:
    assert beyond_entry(tables(flow(*actions))) == expected


@pytest.mark.parametrize(
    "actions",
    [
        (Output(OFPP_NORMAL),),
        (Output(OFPP_FLOOD),),
        (Output(OFPP_IN_PORT),),
        (Output(OFPP_CONTROLLER),),
        (Controller(0),),
        (OutputSubField(REGISTER),),
        (Learn(5),),
        (PushMpls(0x8847),),
        (UnknownAction("odd", b""),),
        (Clone((Output(OFPP_NORMAL),)),),
    ],
    ids=["NORMAL", "FLOOD", "IN_PORT", "CONTROLLER", "controller", "register", "learn", "MPLS", "unknown", "nested"],
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
    read = tables(flow(Resubmit(None, 7)), flow(*into("s2"), table_id=7), Flow(7, 1, Match(), written))
    assert beyond_entry(read) == {S2, S3}


def test_buckets_of_groups_lead_on() -> None:
    group = GroupEntry(9, GroupType.ALL, (Bucket(0, 0, 0, (Output(PATCH),)), Bucket(0, 0, 0, into("s2"))))
    assert beyond_entry(tables(flow(Group(9)), groups=(group,))) == {ROUTER, S2}
    assert beyond_entry(tables(flow(), groups=(group,))) == set()
    assert beyond_entry(tables(flow(Group(10)), groups=(group,))) == set()


def test_a_group_within_a_group_leaves_everything_open() -> None:
    groups = (
        GroupEntry(9, GroupType.ALL, (Bucket(0, 0, 0, (Group(10),)),)),
        GroupEntry(10, GroupType.ALL, (Bucket(0, 0, 0, (Output(PATCH),)),)),
    )
    assert beyond_entry(tables(flow(Group(9)), groups=groups)) >= OTHERS


def test_the_way_goes_on_where_tables_are_known() -> None:
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(flow(*into("s3"), toward=DB))) == {S2, S3}
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(flow(*into("s3"), toward=IPv4Address("10.0.9.9")))) == {S2}


def test_circles_end() -> None:
    assert beyond_entry(tables(flow(*into("s2"))), s2=tables(flow(*into("s1")))) == {S2}


@pytest.mark.parametrize(
    "translating",
    [
        SetField(oxm.IPV4_DST, int(IPv4Address("10.0.9.9")), 0xFFFFFFFF),
        Conntrack(commit=True, force=False, zone=1, table_id=None, nested=(Nat(source=False, destination=True),)),
    ],
    ids=["set_field", "ct"],
)
def test_behind_a_translation_packets_may_look_like_anything(translating: Action) -> None:
    onward = flow(*into("s3"), toward=IPv4Address("10.0.9.9"))
    assert S3 not in beyond_entry(tables(flow(*into("s2"))), s2=tables(onward))
    assert S3 in beyond_entry(tables(flow(translating, *into("s2"))), s2=tables(onward))


def test_a_translation_found_later_widens_what_was_found_before() -> None:
    """s2 is first reached as the packets are, then, round by s3, translated."""
    translating = SetField(oxm.IPV4_DST, int(IPv4Address("10.0.9.9")), 0xFFFFFFFF)
    s2 = tables(flow(Output(1), toward=DB), flow(SetField(oxm.TUN_DST, int(VTEPS["s1"]), 0xFFFFFFFF), Output(TUNNEL)))
    entry = tables(
        flow(*into("s2"), toward=DB),
        flow(Output(TO_S3), toward=DB),
        flow(Output(PATCH), toward=IPv4Address("10.0.9.9")),
    )
    assert ROUTER not in beyond_entry(entry, s2=s2)
    assert ROUTER in beyond_entry(entry, s2=s2, s3=tables(flow(translating, *into("s2"))))


def test_flows_of_this_tool_are_no_way() -> None:
    ours = Cookie(1, CookieKind.CLONE).value
    assert beyond_entry(tables(flow(Output(PATCH), cookie=ours))) == set()


def test_entries_the_inventory_does_not_name_are_left_out() -> None:
    assert spread([UNDERLAY, ENTRY], [TRAFFIC], {}, AROUND) == {ENTRY}


def test_tables_that_did_not_change_are_not_looked_at_again() -> None:
    known: Known = {}
    read = tables(flow(*into("s2")))
    spread([ENTRY], [TRAFFIC], {ENTRY: read}, AROUND, known)
    _, _, step = known[ENTRY]
    spread([ENTRY], [TRAFFIC], {ENTRY: read}, AROUND, known)
    assert known[ENTRY][2] is step
    assert spread([ENTRY], [TRAFFIC], {ENTRY: tables(flow())}, AROUND, known) == {ENTRY}
