import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.action_decoding import decode_action, decode_actions
from vtrace_ovs.codecs.action_encoding import encode_actions
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import (
    Bundle,
    Controller,
    DecMplsTtl,
    Move,
    Multipath,
    Neutral,
    Output,
    PopMpls,
    PushMpls,
    Resubmit,
    SetField,
    UnknownAction,
)
from vtrace_ovs.model.oxm import IN_PORT, SubField, field


@given(st.binary(max_size=96))
def test_any_bytes_are_actions_or_a_codec_error(octets: bytes) -> None:
    try:
        actions, raw = decode_actions(octets)
    except CodecError:
        return
    assert encode_actions(actions, raw) == octets


@given(st.integers(0, 60), st.binary(min_size=6, max_size=54).filter(lambda tail: len(tail) % 8 == 6))
def test_a_nicira_action_with_any_inside_is_an_action_or_a_codec_error(subtype: int, tail: bytes) -> None:
    octets = bytes.fromhex("ffff") + (10 + len(tail)).to_bytes(2) + bytes.fromhex("00002320")
    octets += subtype.to_bytes(2) + tail
    try:
        actions, raw = decode_actions(octets)
    except CodecError:
        return
    assert encode_actions(actions, raw) == octets


def test_an_action_nobody_knows_keeps_its_name_and_bytes() -> None:
    raw = bytes.fromhex("ffff0010 00002320 002e 0000 00000000")
    assert decode_action(raw) == UnknownAction("encap", raw)
    foreign = bytes.fromhex("ffff0010 0000abcd 0001 0000 00000000")
    assert decode_action(foreign) == UnknownAction("experimenter 0xabcd action 1", foreign)


def test_a_queue_does_not_change_a_packets_way() -> None:
    raw = bytes.fromhex("0015000800000001")
    assert decode_action(raw) == Neutral("set_queue", raw)


def test_max_len_of_an_ordinary_output_says_nothing() -> None:
    assert decode_action(bytes.fromhex("0000001000000005ffff000000000000")) == Output(5)
    assert decode_action(bytes.fromhex("00000010fffffffd0080000000000000")) == Output(0xFFFFFFFD, 128)


def test_resubmit_to_a_port_stays_in_its_table() -> None:
    assert decode_action(bytes.fromhex("ffff001000002320000100020000000000"[:32])) == Resubmit(2, None)


def test_a_load_of_the_port_sets_all_of_it() -> None:
    raw = bytes.fromhex("ffff0018 00002320 0007 000f 00000002 000000000000fffe")
    assert decode_action(raw) == SetField(IN_PORT, 0xFFFFFFFE, 0xFFFFFFFF)


def test_onf_copy_field_is_a_move() -> None:
    raw = bytes.fromhex("ffff0020 4f4e4600 0c800000 0008 0000 0010 0000 00010004 00010204") + bytes(4)
    source, destination = SubField(field("reg0"), 0, 8), SubField(field("reg1"), 16, 8)
    assert decode_action(raw) == Move(source, destination)


def test_a_controller_action_with_an_unknown_property_is_unknown() -> None:
    raw = bytes.fromhex("ffff0018 00002320 0025 000000000000 0063 0008 00000000")
    assert decode_action(raw) == UnknownAction("controller", raw)


def test_a_plain_controller2_has_the_defaults_of_ovs() -> None:
    assert decode_action(bytes.fromhex("ffff0010 00002320 0025 000000000000")) == Controller(0)


@pytest.mark.parametrize("octets", ["0000000c00000001", "00000000", "0000000700000000", "ffff000800002320"])
def test_a_length_that_leads_astray_is_a_codec_error(octets: str) -> None:
    with pytest.raises(CodecError):
        decode_actions(bytes.fromhex(octets))


def test_links_and_members_are_counted_whatever_the_hash() -> None:
    multipath = bytes.fromhex("ffff0020 00002320 000a 0001 0400 0000 0002 0007 00000000 0000 0003 00010004")
    assert decode_action(multipath) == Multipath(8, SubField(field("reg0"), 0, 4), multipath)
    bundle = bytes.fromhex(
        "ffff0028 00002320 000c 0000 0000 0000 00000002 0002 0000 00000000 00000000 0001 fffe 00000000"
    )
    assert decode_action(bundle) == Bundle(True, (1, 0xFFFFFFFE), None, bundle)
    load = bundle[:8] + b"\x00\x0d\x00\x01" + bundle[12:22] + bytes.fromhex("000f 00010004") + bundle[28:]
    assert decode_action(load) == Bundle(False, (1, 0xFFFFFFFE), SubField(field("reg0"), 0, 16), load)


def test_mpls_labels_have_actions_of_their_own_in_both_dialects() -> None:
    assert decode_action(bytes.fromhex("0013000888470000")) == PushMpls(0x8847)
    assert decode_action(bytes.fromhex("ffff0010 00002320 0017 8848 00000000")) == PushMpls(0x8848)
    assert decode_action(bytes.fromhex("0014000808000000")) == PopMpls(0x0800)
    assert decode_action(bytes.fromhex("0010000800000000")) == DecMplsTtl()
    label = bytes.fromhex("ffff0010 00002320 001e 0000 00000005")
    assert decode_action(label) == SetField(field("mpls_label"), 5, 0xFFFFF)
