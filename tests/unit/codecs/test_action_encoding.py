from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs import action_encoding
from vtrace_ovs.codecs.action_decoding import decode_action, decode_actions
from vtrace_ovs.codecs.action_encoding import encode_action, encode_actions
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    OFPP_NORMAL,
    Action,
    CheckPacketLarger,
    Clone,
    Conjunction,
    Conntrack,
    ConntrackClear,
    Controller,
    DecTtl,
    Exit,
    Group,
    Learn,
    Move,
    Nat,
    Output,
    OutputSubField,
    Pop,
    PopVlan,
    Push,
    PushVlan,
    Resubmit,
    SetField,
    SetTunnelId,
)
from vtrace_ovs.model.oxm import CATALOGUE, IN_PORT, OVERLAPPING, SubField, field

REG0 = field("reg0")
SIMPLE: tuple[Action, ...] = (
    Output(1),
    Output(OFPP_NORMAL),
    Output(OFPP_CONTROLLER, 128),
    Output(3, 100),
    OutputSubField(SubField(REG0, 0, 16)),
    Group(7),
    SetField(IN_PORT, 5, IN_PORT.full_mask),
    SetField(REG0, 0x10F, 0x10F),
    Move(SubField(REG0, 0, 6), SubField(field("ip_dscp"), 0, 6)),
    Move(SubField(field("tun_erspan_idx"), 0, 8), SubField(REG0, 8, 8)),
    Push(SubField(REG0, 0, 32)),
    Pop(SubField(field("tun_erspan_idx"), 4, 8)),
    Resubmit(None, 5),
    Resubmit(2, None),
    Resubmit(None, 7, with_conntrack=True),
    PushVlan(0x8100),
    PopVlan(),
    DecTtl(),
    DecTtl((1, 2)),
    Conntrack(commit=True, force=True, zone=5, table_id=None, alg=21),
    Conntrack(commit=False, force=False, zone=SubField(REG0, 0, 16), table_id=6),
    ConntrackClear(),
    SetTunnelId(1 << 40),
    Exit(),
    Conjunction(5, 0, 3),
    CheckPacketLarger(1500, SubField(REG0, 3, 1)),
)


@pytest.mark.parametrize("action", SIMPLE, ids=str)
def test_an_action_survives_the_wire(action: Action) -> None:
    wire = encode_action(action)
    assert len(wire) % 8 == 0
    assert decode_action(wire) == action


def test_every_kind_of_action_has_an_encoder() -> None:
    assert set(action_encoding._ENCODERS) == set(get_args(Action))  # noqa: SLF001  completeness is the point


@given(
    st.sampled_from([entry for entry in CATALOGUE if entry not in OVERLAPPING and entry is not IN_PORT]),
    st.data(),
)
def test_any_bits_of_any_field_can_be_set(entry: object, data: st.DataObject) -> None:
    target = next(one for one in CATALOGUE if one is entry)
    mask = data.draw(st.integers(1, target.full_mask))
    action = SetField(target, data.draw(st.integers(0, target.full_mask)) & mask, mask)
    if target.width <= 128:
        assert decode_action(encode_action(action)) == action


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.binary(max_size=40),
    st.booleans(),
    st.none() | st.integers(0, 0xFFFFFFFE),
)
def test_a_controller_action_survives_the_wire(
    controller_id: int, max_len: int, reason: int, userdata: bytes, pause: bool, meter_id: int | None
) -> None:
    action = Controller(controller_id, max_len, reason, userdata, pause, meter_id)
    assert decode_action(encode_action(action)) == action


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.1",
        "10.0.0.1-10.0.0.9",
        "10.0.0.1:80",
        "10.0.0.1-10.0.0.9:80-90,persistent,random",
        "fe80::1-fe80::9",
        "[fe80::1]:80",
        "[fe80::1-fe80::9]:80-90,hash",
    ],
)
def test_a_nat_range_survives_the_wire(text: str) -> None:
    action = Nat(source=True, destination=False, range_text=text)
    assert decode_action(encode_action(action)) == action


def test_nested_actions_survive_the_wire() -> None:
    inner = (Nat(source=False, destination=True), SetField(field("ct_mark"), 1, 0xFFFFFFFF))
    tracked = Conntrack(commit=True, force=False, zone=0, table_id=3, nested=inner)
    found = decode_action(encode_action(Clone((tracked, Output(1)))))
    assert isinstance(found, Clone)
    again = found.nested[0]
    assert isinstance(again, Conntrack)
    assert again.nested == inner
    assert found.raw[1] == encode_action(Output(1))


def test_kept_bytes_win_and_missing_ones_are_encoded() -> None:
    kept = bytes.fromhex("00170008 05000000")
    wire = encode_actions((SetField(field("nw_ttl"), 5, 255), Output(1), Output(2)), (kept, b""))
    assert wire == kept + encode_action(Output(1)) + encode_action(Output(2))
    assert decode_actions(wire)[0] == (SetField(field("nw_ttl"), 5, 255), Output(1), Output(2))


@pytest.mark.parametrize(
    "action",
    [Learn(5), Group(1 << 40), Output(0x10000, 60), Nat(source=True, destination=False, range_text="nowhere")],
    ids=str,
)
def test_what_cannot_be_sent_is_a_codec_error(action: Action) -> None:
    with pytest.raises(CodecError):
        encode_action(action)
