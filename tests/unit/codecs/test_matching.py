import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.matching import (
    canonical,
    decode_header,
    decode_match,
    decode_tlv,
    decode_tlvs,
    encode_match,
    encode_tlv,
    header,
    port16,
    port32,
)
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import CATALOGUE, IN_PORT, OVERLAPPING, Field, SubField, field, rank

OWN = tuple(entry for entry in CATALOGUE if entry not in OVERLAPPING)


@st.composite
def masked_fields(draw: st.DrawFn, fields: tuple[Field, ...] = OWN) -> MaskedField:
    entry = draw(st.sampled_from(fields))
    mask = entry.full_mask
    if entry.maskable and draw(st.booleans()):
        mask = draw(st.integers(1, entry.full_mask))
    value = draw(st.integers(0, 0xFEFF if entry is IN_PORT else entry.full_mask))
    return MaskedField(entry, value & mask, mask)


def body(match: Match) -> bytes:
    wire = encode_match(match)
    return wire[4 : int.from_bytes(wire[2:4])]


@given(st.lists(masked_fields(), max_size=8))
def test_a_match_survives_the_wire(fields: list[MaskedField]) -> None:
    match = Match.of(*fields)
    assert decode_match(body(match)) == match
    assert len(encode_match(match)) % 8 == 0


@given(st.binary(max_size=60))
def test_any_bytes_are_a_match_or_a_codec_error(octets: bytes) -> None:
    try:
        match = decode_match(octets)
    except CodecError:
        return
    assert match == decode_match(body(match))


@given(st.lists(masked_fields(), min_size=2, max_size=8))
def test_prerequisites_are_sent_before_what_needs_them(fields: list[MaskedField]) -> None:
    sent = [rank(masked.field) for masked in decode_tlvs(body(Match.of(*fields)))]
    assert sent == sorted(sent)


def test_eth_type_and_protocol_go_before_ports() -> None:
    names = ["tcp_dst", "ip_proto", "eth_type", "ct_tp_src", "ct_nw_proto", "ct_state", "nd_sll", "icmpv6_type"]
    match = Match.of(*(MaskedField(field(name), 1, field(name).full_mask) for name in names))
    sent = [masked.field.name for masked in decode_tlvs(body(match))]
    for before, behind in (
        ("eth_type", "ip_proto"),
        ("ip_proto", "tcp_dst"),
        ("icmpv6_type", "nd_sll"),
        ("ct_state", "ct_nw_proto"),
        ("ct_nw_proto", "ct_tp_src"),
        ("ip_proto", "ct_nw_proto"),
    ):
        assert sent.index(before) < sent.index(behind)


def test_nxm_and_oxm_headers_name_the_same_field() -> None:
    for numbers in (bytes.fromhex("00000e04"), bytes.fromhex("80001604")):
        assert decode_tlv(numbers + bytes([10, 0, 0, 1])).field is field("ipv4_src")


def test_a_16_bit_reserved_port_is_the_32_bit_one() -> None:
    assert decode_tlv(bytes.fromhex("00000002fffe")).value == 0xFFFFFFFE
    assert (port32(5), port32(0xFFF8), port16(0xFFFFFFF8), port16(5)) == (5, 0xFFFFFFF8, 0xFFF8, 5)


def test_a_port_ovs_cannot_have_is_refused() -> None:
    with pytest.raises(CodecError, match="does not exist"):
        port16(0x10000)


def test_an_unknown_field_survives_the_wire() -> None:
    octets = bytes.fromhex("fffe0104 00000007")
    assert body(decode_match(octets)) == octets
    masked = bytes.fromhex("ffff010c 0000abcd 00000007 0000000f")
    assert body(decode_match(masked)) == masked
    assert decode_tlv(masked).field.experimenter == 0xABCD


def test_tunnel_metadata_keeps_its_length() -> None:
    octets = bytes.fromhex("00015004 00001234")
    (found,) = decode_tlvs(octets)
    assert (found.field.name, found.field.width, found.value) == ("tun_metadata0", 32, 0x1234)
    assert encode_tlv(found) == octets


def test_overlapping_fields_become_their_parts() -> None:
    xreg = MaskedField(field("xreg0"), 1 << 32 | 2, field("xreg0").full_mask)
    vlan = MaskedField(field("vlan_vid"), 0x1064, 0x1FFF)
    pcp = MaskedField(field("vlan_pcp"), 3, 7)
    found = decode_match(body(Match.of(xreg, vlan, pcp)))
    assert {masked.field.name: masked.value for masked in found.fields} == {"reg0": 1, "reg1": 2, "vlan_tci": 0x7064}


def test_a_mask_on_an_unmaskable_field_is_refused() -> None:
    with pytest.raises(CodecError, match="cannot be matched under a mask"):
        encode_tlv(MaskedField(IN_PORT, 0, 1))


@pytest.mark.parametrize("octets", ["8000", "80001604aabb", "ffff0104", "8000160a0000000000"])
def test_a_match_cut_short_is_a_codec_error(octets: str) -> None:
    with pytest.raises(CodecError):
        decode_match(bytes.fromhex(octets))


@given(st.sampled_from(CATALOGUE))
def test_every_header_names_its_field(entry: Field) -> None:
    assert decode_header(header(entry), 0) == (entry, len(header(entry)))


def test_bits_of_tos_are_bits_of_dscp() -> None:
    assert canonical(SubField(field("nw_tos"), 2, 6)) == SubField(field("ip_dscp"), 0, 6)
    assert canonical(SubField(field("xreg0"), 0, 16)) == SubField(field("reg1"), 0, 16)
    both = SubField(field("xreg0"), 0, 64)
    assert canonical(both) is both


def test_a_field_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(CodecError, match="eth_src has 16 bytes instead of 6"):
        decode_tlv(bytes.fromhex("80000810") + bytes(16))


def test_bits_beyond_a_fields_width_are_cut_off() -> None:
    assert decode_tlv(bytes.fromhex("80001001ff")) == MaskedField(field("ip_dscp"), 0x3F, 0x3F)
