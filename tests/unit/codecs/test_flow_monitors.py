"""Bytes as ovs-ofctl 3.1 sent and ovs-vswitchd 3.1 answered them (``monitor BRIDGE watch:…`` on OpenFlow 1.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs import flow_monitors
from vtrace_ovs.codecs.framing import Message, MessageType, messages
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.flow import ChangedFlow, FlowChange, FlowKey, Watch
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import ETH_TYPE, IP_PROTO, field

REG3 = MaskedField(field("reg3"), 1, 0xFFFF_FFFF)
TCP = (MaskedField(ETH_TYPE, 0x0800, 0xFFFF), MaskedField(IP_PROTO, 6, 0xFF))

REQUEST = (
    "0412003800000006 ffff0000 00000000 4f4e4600 0000074e"
    "00000000 0004 000c ffffffff 00000000 0001000c 00010604 00000001 00000000"
)
ANSWER = "0413001800000006 ffff0000 00000000 4f4e4600 0000074e"
OWN = "0413002000000000 ffff0000 00000000 4f4e4600 0000074e 0008 0003 00000007"
DELETED = (
    "0413004800000000 ffff0000 00000000 4f4e4600 0000074e"
    "0030 0001 0002 0007 0000 0000 0017 00 00 0000000056540001"
    "0001 0017 80000a02 0800 80001401 06 00010604 00000001 00"
)
TIMED_OUT_AND_DELETED = (
    "0413006800000000 ffff0000 00000000 4f4e4600 0000074e"
    "0028 0001 0001 0008 0000 0001 000f 00 00 0000000000000001 0001 000f 80000a02 0800 80001401 06 00"
    "0028 0001 0002 0007 0000 0000 000f 00 00 0000000000000001 0001 000f 80000a02 0800 80001401 06 00"
)
PAUSED, RESUMED = "0404001000000000 4f4e4600 0000074f", "0404001000000000 4f4e4600 00000750"


def read(wire: str) -> Message:
    ((found,), rest) = messages(bytes.fromhex(wire))
    assert rest == b""
    return found


def test_a_monitor_is_asked_for_as_ovs_ofctl_does() -> None:
    watch = Watch(0, Match.of(REG3), frozenset({FlowChange.REMOVED}))
    assert flow_monitors.flow_monitor_request({0: watch}, 6) == bytes.fromhex(REQUEST)


def test_several_are_asked_for_in_one_request() -> None:
    removed = frozenset({FlowChange.REMOVED})
    found = flow_monitors.flow_monitor_request({7: Watch(0, Match.of(REG3), removed), 8: Watch(253)}, 6)
    second = "00000008 000e 0004 ffffffff fd000000 0001000400000000"
    assert found == bytes.fromhex(REQUEST.replace("00000000 0004 000c", "00000007 0004 000c") + second).replace(
        b"\x04\x12\x00\x38", b"\x04\x12\x00\x50"
    )


def test_one_is_ended_by_its_number() -> None:
    assert flow_monitors.flow_monitor_cancel(7, 9) == bytes.fromhex("0404001400000009 4f4e4600 0000074e 00000007")


def test_a_deleted_flow_is_told_with_its_cookie() -> None:
    flow = ChangedFlow(FlowChange.REMOVED, FlowKey(0, 7, Match.of(REG3, *TCP)), 0x56540001)
    assert flow_monitors.changed_flows(read(DELETED)) == (flow,)


@pytest.mark.parametrize(("event", "change"), [("0000", FlowChange.ADDED), ("0002", FlowChange.MODIFIED)])
def test_a_flow_that_is_put_in_anew_or_modified_is_told_as_such(event: str, change: FlowChange) -> None:
    (flow,) = flow_monitors.changed_flows(read(DELETED.replace("0030 0001 0002", f"0030 {event} 0000")))
    assert (flow.change, flow.key.priority, flow.cookie) == (change, 7, 0x56540001)


def test_a_flow_whose_time_was_over_was_deleted_by_nobody() -> None:
    (found,) = flow_monitors.changed_flows(read(TIMED_OUT_AND_DELETED))
    assert found.key.priority == 7


@pytest.mark.parametrize("wire", [ANSWER, OWN])
def test_the_answer_to_the_request_and_our_own_changes_name_no_flow(wire: str) -> None:
    assert flow_monitors.changed_flows(read(wire)) == ()


def test_a_pause_and_its_end_are_told_from_other_messages() -> None:
    assert [flow_monitors.monitors_paused(read(wire)) for wire in (PAUSED, RESUMED, DELETED)] == [True, False, None]
    packet_in = Message(4, MessageType.EXPERIMENTER, 0, bytes.fromhex("000023200000001e"))
    assert flow_monitors.monitors_paused(packet_in) is None


def test_other_multipart_replies_are_no_news() -> None:
    flows = Message(4, MessageType.MULTIPART_REPLY, 1, bytes.fromhex("0001000000000000") + bytes(16))
    assert not flow_monitors.is_flow_update(flows)
    with pytest.raises(CodecError):
        flow_monitors.changed_flows(flows)


@given(st.integers(0, 80), st.binary(max_size=40))
def test_broken_news_are_a_codec_error(length: int, tail: bytes) -> None:
    whole = read(TIMED_OUT_AND_DELETED)
    broken = Message(4, whole.type, 0, whole.body[: 16 + length] + tail)
    try:
        flow_monitors.changed_flows(broken)
    except CodecError:
        return


@pytest.mark.parametrize("wrong", ["0003 0001", "0030 0001", "0008 0001 0000 0000", "00"])
def test_a_length_that_leads_astray_is_a_codec_error(wrong: str) -> None:
    with pytest.raises(CodecError):
        flow_monitors.changed_flows(
            Message(4, MessageType.MULTIPART_REPLY, 0, read(ANSWER).body + bytes.fromhex(wrong))
        )
