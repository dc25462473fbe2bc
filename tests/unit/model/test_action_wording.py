from typing import get_args

import pytest

from vtrace_ovs.model import action_wording
from vtrace_ovs.model.action_wording import action_text, actions_text, instructions_text
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    OFPP_NORMAL,
    Action,
    ApplyActions,
    ClearActions,
    Conntrack,
    Controller,
    DecTtl,
    GotoTable,
    Meter,
    Move,
    Nat,
    Neutral,
    Output,
    Resubmit,
    SetField,
    UnknownAction,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)
from vtrace_ovs.model.oxm import SubField, field

REG0 = field("reg0")


def test_every_kind_of_action_has_words() -> None:
    assert set(action_wording._WORDS) == set(get_args(Action))  # noqa: SLF001  completeness is the point


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (Output(5), "output:5"),
        (Output(OFPP_NORMAL), "NORMAL"),
        (Output(OFPP_CONTROLLER, 128), "CONTROLLER:128"),
        (Output(5, 100), "output(port=5,max_len=100)"),
        (SetField(REG0, 5, REG0.full_mask), "set_field:0x5->reg0"),
        (SetField(REG0, 0x50, 0xF0), "load:0x5->NXM_NX_REG0[4..7]"),
        (SetField(REG0, 0x101, 0x10F), "set_field:0x101/0x10f->reg0"),
        (SetField(field("vlan_tci"), 0x1064, 0x1FFF), "set_field:4196->vlan_vid"),
        (SetField(field("ipv4_dst"), 0x0A000001, 0xFFFFFFFF), "set_field:10.0.0.1->ip_dst"),
        (Move(SubField(REG0, 0, 6), SubField(field("ip_dscp"), 0, 6)), "move:NXM_NX_REG0[0..5]->OXM_OF_IP_DSCP[]"),
        (Resubmit(None, 5), "resubmit(,5)"),
        (Resubmit(2, None), "resubmit:2"),
        (Resubmit(None, 5, with_conntrack=True), "resubmit(,5,ct)"),
        (Controller(0), "CONTROLLER:65535"),
        (Controller(5, 192, 0, b"\0\1", pause=True, meter_id=9), None),
        (DecTtl((1, 2)), "dec_ttl(1,2)"),
        (Nat(source=True, destination=False, range_text="10.0.0.1"), "nat(src=10.0.0.1)"),
        (Neutral("sample", b""), "sample"),
        (UnknownAction("multipath", b""), "multipath"),
    ],
    ids=str,
)
def test_actions_read_as_ovs_prints_them(action: Action, text: str | None) -> None:
    expected = text or "controller(reason=no_match,max_len=192,id=5,userdata=00.01,pause,meter_id=9)"
    assert action_text(action) == expected


def test_tracking_reads_with_its_parts_in_order() -> None:
    nested = (Nat(source=False, destination=False), SetField(field("ct_mark"), 1, 0xFFFFFFFF))
    action = Conntrack(commit=True, force=True, zone=5, table_id=3, nested=nested, alg=21)
    assert action_text(action) == "ct(commit,force,table=3,zone=5,nat,exec(set_field:0x1->ct_mark),alg=ftp)"


def test_nothing_done_is_a_drop() -> None:
    assert actions_text(()) == "drop"
    assert instructions_text(()) == "drop"
    assert instructions_text((ApplyActions(()),)) == "drop"


def test_instructions_read_in_one_line() -> None:
    text = instructions_text(
        (
            Meter(1),
            ApplyActions((Output(1),)),
            ClearActions(),
            WriteActions((Output(2),)),
            WriteMetadata(1, 0xF),
            GotoTable(9),
            UnknownInstruction("instruction 77", b""),
        )
    )
    assert text == (
        "meter:1,output:1,clear_actions,write_actions(output:2),write_metadata:0x1/0xf,goto_table:9,instruction 77"
    )


def test_a_set_field_of_no_bits_is_worded_as_one() -> None:
    assert action_text(SetField(field("reg0"), 0, 0)) == "set_field:0/0->reg0"
    assert action_text(SetField(field("ipv4_src"), 0, 0)).startswith("set_field:")
