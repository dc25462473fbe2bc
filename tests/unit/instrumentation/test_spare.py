import pytest

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.plan import PrivateMeters, PrivateTables
from vtrace_ovs.instrumentation.spare import spare_field, spare_meters, spare_tables
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model import oxm
from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    CheckPacketLarger,
    Clone,
    Conntrack,
    GotoTable,
    Group,
    Learn,
    Move,
    Output,
    OutputSubField,
    Pop,
    Push,
    Resubmit,
    SetField,
    UnknownAction,
    UnknownInstruction,
)
from vtrace_ovs.model.flow import Bucket, Flow, GroupEntry, GroupType, MeterEntry
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import PKT_MARK, REGISTERS, SubField

REG15 = SubField(REGISTERS[15], 0, 4)
PORT = SubField(oxm.IN_PORT, 0, 16)
OXM_OF_REG15 = bytes.fromhex("00011e04")


def flow(*actions: Action, raw: tuple[bytes, ...] = (), match: Match | None = None) -> Flow:
    return Flow(0, 1, match or Match(), (ApplyActions(actions, raw),))


@pytest.mark.parametrize(
    ("action", "next_best"),
    [
        (SetField(REGISTERS[15], 0, 1), 14),
        (SetField(oxm.field("xreg7"), 0, 1), 13),
        (SetField(oxm.field("xxreg3"), 0, 1), 11),
        (Move(REG15, PORT), 14),
        (Move(PORT, REG15), 14),
        (Push(REG15), 14),
        (Pop(REG15), 14),
        (OutputSubField(REG15), 14),
        (CheckPacketLarger(100, SubField(REGISTERS[15], 3, 1)), 14),
        (Conntrack(commit=False, force=False, zone=REG15, table_id=None), 14),
        (Clone((Clone((Push(REG15),)),)), 14),
        (UnknownAction("new", b"\xff\xff" + OXM_OF_REG15), 14),
    ],
)
def test_a_register_any_action_mentions_is_not_spare(action: Action, next_best: int) -> None:
    assert spare_field((flow(action),), ()) == StateField(REGISTERS[next_best])


@pytest.mark.parametrize("action", [Learn(3), UnknownAction("new", b"")])
def test_an_action_without_its_bytes_may_use_every_register(action: Action) -> None:
    with pytest.raises(RefusedError, match="no room"):
        spare_field((flow(action),), ())


@pytest.mark.parametrize(
    ("header", "next_best"), [("00011e04", 14), ("00011f08", 14), ("80010e08", 13), ("80010f10", 13), ("0001e410", 11)]
)
def test_a_register_the_bytes_of_an_action_mention_is_not_spare(header: str, next_best: int) -> None:
    raw = bytes.fromhex(header)
    assert spare_field((flow(Learn(3), raw=(b"abc" + raw + b"x",)),), ()) == StateField(REGISTERS[next_best])
    unknown = Flow(0, 1, Match(), (UnknownInstruction("new", raw),))
    assert spare_field((unknown,), ()) == StateField(REGISTERS[next_best])


@pytest.mark.parametrize(("name", "next_best"), [("reg15", 14), ("xreg7", 13), ("xxreg3", 11)])
def test_a_register_a_match_mentions_is_not_spare(name: str, next_best: int) -> None:
    match = Match.of(MaskedField(oxm.field(name), 0, 1))
    assert spare_field((flow(match=match),), ()) == StateField(REGISTERS[next_best])


def test_a_register_a_group_mentions_is_not_spare() -> None:
    bucket = Bucket(0, 0, 0, (Push(REG15),))
    for raw in (b"", OXM_OF_REG15):
        group = GroupEntry(1, GroupType.ALL, (bucket,), raw)
        assert spare_field((flow(Output(1)),), (group,)) == StateField(REGISTERS[14])


def test_the_field_in_use_is_kept_while_it_is_spare() -> None:
    assert spare_field((), (), StateField(REGISTERS[4])) == StateField(REGISTERS[4])
    taken = (flow(Push(SubField(REGISTERS[4], 0, 1))),)
    assert spare_field(taken, (), StateField(REGISTERS[4])) == StateField(REGISTERS[15])


def test_pkt_mark_is_the_last_resort_and_then_the_users_are_named() -> None:
    registers = tuple(flow(SetField(register, 0, 1)) for register in REGISTERS)
    assert spare_field(registers, ()) == StateField(PKT_MARK)
    with pytest.raises(RefusedError, match="table=0"):
        spare_field((*registers, flow(SetField(PKT_MARK, 0, 1))), ())


def test_private_tables_are_those_nothing_lives_in_or_leads_to() -> None:
    flows = (
        Flow(253, 1, Match(), (GotoTable(250),)),
        flow(Resubmit(None, 252), Conntrack(commit=False, force=False, zone=1, table_id=251), Learn(249)),
    )
    group = GroupEntry(1, GroupType.ALL, (Bucket(0, 0, 0, (Resubmit(None, 248),)),))
    assert spare_tables(flows, (group,)) == PrivateTables(247, 246, 245)
    assert spare_tables(flows, (), PrivateTables(9, 8, 7)) == PrivateTables(9, 8, 7)
    assert spare_tables(flows, (), PrivateTables(9, 8, 252)) == PrivateTables(248, 247, 246)
    full = tuple(Flow(table_id, 1, Match(), (ApplyActions((Group(1),)),)) for table_id in range(252))
    with pytest.raises(RefusedError, match="three"):
        spare_tables(full, ())


def test_meters_are_numbered_above_production_and_kept() -> None:
    entries = (MeterEntry(7, 1, 1, packets=True),)
    assert spare_meters(entries) == PrivateMeters(8, 9)
    assert spare_meters((*entries, MeterEntry(8, 1, 1, packets=True)), PrivateMeters(8, 9)) == PrivateMeters(8, 9)
    with pytest.raises(RefusedError, match="renumber"):
        spare_meters((MeterEntry(0xFFFF, 1, 1, packets=True),))
