import pytest

from vtrace_ovs.codecs.flow_text import is_flow, parse_flow
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import ApplyActions, Output, SetField
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import field

NAMES = PortNames({"p1": 1})


def test_everything_a_line_says_is_in_the_flow() -> None:
    line = (
        "cookie=0x1f, duration=9.125s, table=2, n_packets=3, n_bytes=294, idle_timeout=10, hard_timeout=20, "
        "send_flow_rem reset_counts importance=3, idle_age=1, priority=7,tcp,tp_dst=80 "
        "actions=mod_tp_dst:8080,output:p1"
    )
    flow = parse_flow(line, NAMES)
    assert (flow.table_id, flow.priority, flow.cookie, flow.flags) == (2, 7, 0x1F, 5)
    assert (flow.idle_timeout, flow.hard_timeout, flow.n_packets, flow.n_bytes) == (10, 20, 3, 294)
    assert flow.duration == 9.125
    assert flow.instructions == (ApplyActions((SetField(field("tcp_dst"), 8080, 0xFFFF), Output(1))),)


@pytest.mark.parametrize("line", ["actions=drop", " actions=drop", "cookie=0x0, actions=drop"])
def test_what_a_dump_leaves_out_has_its_default(line: str) -> None:
    assert parse_flow(line, NAMES).key == FlowKey(0, 32768, Match())


def test_a_comma_may_come_before_the_actions() -> None:
    flow = parse_flow("table_id=254, duration=1s, n_packets=0, priority=0,reg0=0x1,actions=drop", NAMES)
    assert (flow.table_id, flow.priority, len(flow.match.fields)) == (254, 0, 1)


def test_only_a_line_with_actions_is_a_flow() -> None:
    assert not is_flow("cookie=0x0, duration=1s, table=0, n_pac")
    assert not is_flow(" group_id=1,type=all,bucket=output:1")


@pytest.mark.parametrize(
    "line",
    ["cookie=0x0, table=0", "cookie=zz actions=drop", "duration=long actions=drop", "table=acl actions=drop",
     "priority=7,ip,nw_src=10.0.0.0/ actions=drop", "priority=7,ip actions=", 'in_port="p actions=drop'],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_refused(line: str) -> None:
    with pytest.raises(CodecError):
        parse_flow(line, NAMES)
