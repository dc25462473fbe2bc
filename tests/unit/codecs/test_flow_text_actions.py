import pytest

from vtrace_ovs.codecs.flow_text_actions import parse_actions, parse_instructions
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model import actions as act
from vtrace_ovs.model.wording import instructions_text

NAMES = PortNames({"p1": 1, "a,b": 2})


@pytest.mark.parametrize(
    "text",
    [
        "drop",
        "output:1,NORMAL,IN_PORT,CONTROLLER:128",
        "output(port=1,max_len=100),output:NXM_NX_REG0[0..15]",
        "controller(reason=no_match,max_len=10,id=2,userdata=00.01,pause,meter_id=1)",
        "meter:1,set_field:0x7->metadata,write_actions(output:1),goto_table:9",
        "clear_actions,write_actions(set_field:0x1->reg0)",
        "write_metadata:0x1/0xf,goto_table:3",
        "ct(commit,force,table=6,zone=NXM_NX_REG0[0..15],nat(src=10.0.0.1:5-6,random),exec(set_field:0x1->ct_mark),alg=ftp)",
        "ct(nat)",
        "resubmit:2,resubmit(2,3),resubmit(,3),resubmit(,3,ct),resubmit(,)",
        "clone(clone(output:2),set_field:0x1->reg0),exit",
        "push:NXM_NX_REG0[],pop:NXM_NX_REG1[0..15],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
        "load:0x1->NXM_NX_REG0[5..9],set_field:1.2.3.4->ip_dst,push_vlan:0x8100,set_field:4101->vlan_vid,pop_vlan",
        "dec_ttl,dec_ttl(1,2),ct_clear,note:01.02,group:7",
        "conjunction(5,1/2),conjunction(6,2/3),check_pkt_larger(1500)->NXM_NX_REG0[0]",
        "push_mpls:0x8847,dec_mpls_ttl,pop_mpls:0x0800",
    ],
)
def test_actions_are_what_they_are_printed_as(text: str) -> None:
    assert instructions_text(parse_instructions(text, NAMES)) == text


def test_consecutive_actions_are_one_instruction() -> None:
    text = "output:1,output:2,meter:3,output:p1,goto_table:4"
    assert [type(one).__name__ for one in parse_instructions(text, NAMES)] == [
        "ApplyActions", "Meter", "ApplyActions", "GotoTable",
    ]  # fmt: skip


def test_names_of_ports_may_hold_commas() -> None:
    assert parse_actions('output:"a,b",resubmit("a,b",3)', NAMES) == (act.Output(2), act.Resubmit(2, 3))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("psample(group=1)", "psample"),
        ("future", "future"),
        ("future:3", "future"),
        ("output(port=1,max_len=5,sideways)", "output"),
        ("controller(reason=boredom)", "controller"),
        ("controller(speed=3)", "controller"),
        ("ct(commit,timeout=5)", "ct"),
        ("ct(nat(both=1.2.3.4))", "ct"),
        ("resubmit(1,2,ct,twice)", "resubmit"),
        ("set_field:5->future", "set_field"),
        ("load:5->NXM_NX_FUTURE[]", "load"),
        ("move:NXM_NX_FUTURE[]->NXM_NX_REG0[]", "move"),
        ("push:NXM_NX_FUTURE[]", "push"),
        ("pop:NXM_NX_FUTURE[]", "pop"),
        ("output:NXM_NX_FUTURE[]", "output"),
        ("check_pkt_larger(5)->NXM_NX_FUTURE[0]", "check_pkt_larger"),
        ("conjunction(5,1)", "conjunction"),
        ("learn(hard_timeout=5)", "learn"),
        ("encap(nsh(md_type=1))", "encap"),
        ("mod_tp_dst:5", "mod_tp_dst"),
    ],
)
def test_what_this_version_does_not_know_is_kept_by_name(text: str, name: str) -> None:
    assert parse_actions(text, NAMES) == (act.UnknownAction(name, b""),)


def test_what_does_nothing_to_a_packet_is_neutral() -> None:
    text = "set_queue:1,pop_queue,fin_timeout(idle_timeout=3),sample(probability=1)"
    assert all(isinstance(one, act.Neutral) for one in parse_actions(text, NAMES))
    assert parse_actions("enqueue:1:2", NAMES)[1] == act.Output(1)
    assert parse_actions("learn(table=5,load:0->NXM_NX_REG0[])", NAMES) == (act.Learn(5),)
    assert parse_actions("learn(table=5,priority=9,load:0->NXM_NX_REG0[])", NAMES) == (act.Learn(5, 9),)


@pytest.mark.parametrize(
    "text",
    ["", " ", "ct(commit", "group:many", "goto_table:acl", "output:p9", "note:xy", "set_field:x->reg0", "set_field:1->",
     "load:0x1ffff->NXM_NX_REG0[0..3]", "(output:1)", "meter:", "resubmit(,999)"],
)  # fmt: skip
def test_text_that_open_vswitch_never_prints_is_refused(text: str) -> None:
    if text == "set_field:1->":
        assert parse_actions(text, NAMES) == (act.UnknownAction("set_field", b""),)
        return
    with pytest.raises(CodecError):
        parse_instructions(text, NAMES)
