from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import REGISTERS, TCP_DST, Field, field

MASKS = st.integers(1, 0xF)
SMALL = st.lists(
    st.builds(
        lambda entry, value, mask: MaskedField(entry, value & mask, mask),
        st.sampled_from(REGISTERS[:3]),
        st.integers(0, 0xF),
        MASKS,
    ),
    max_size=3,
).map(lambda fields: Match.of(*fields))


def test_fields_are_in_order_of_name_and_the_last_wins() -> None:
    first, second = MaskedField(TCP_DST, 1, 0xFFFF), MaskedField(field("eth_type"), 2, 0xFFFF)
    match = Match.of(first, second, MaskedField(TCP_DST, 3, 0xFFFF))
    assert [(masked.field.name, masked.value) for masked in match.fields] == [("eth_type", 2), ("tcp_dst", 3)]


def test_a_wildcarded_field_is_not_there() -> None:
    assert Match().get(TCP_DST) is None
    assert Match().with_fields(MaskedField(TCP_DST, 1, 0xFFFF)).get(TCP_DST) == MaskedField(TCP_DST, 1, 0xFFFF)


def test_a_field_absent_from_the_packet_is_zero() -> None:
    match = Match.of(MaskedField(TCP_DST, 0, 1))
    assert match.accepts({})
    assert not match.accepts({TCP_DST: 1})


@given(SMALL, SMALL, st.dictionaries(st.sampled_from(REGISTERS[:3]), st.integers(0, 0xF)))
def test_matches_that_accept_one_packet_overlap(one: Match, other: Match, packet: dict[Field, int]) -> None:
    if one.accepts(packet) and other.accepts(packet):
        assert one.overlaps(other)


@given(SMALL, SMALL)
def test_matches_that_overlap_accept_one_packet(one: Match, other: Match) -> None:
    if one.overlaps(other):
        packet: dict[Field, int] = {}
        for masked in (*one.fields, *other.fields):
            packet[masked.field] = packet.get(masked.field, 0) | masked.value
        assert one.accepts(packet)
        assert other.accepts(packet)


@given(SMALL, SMALL, st.dictionaries(st.sampled_from(REGISTERS[:3]), st.integers(0, 0xF)))
def test_where_two_matches_meet_is_what_both_accept(one: Match, other: Match, packet: dict[Field, int]) -> None:
    met = one.meet(other)
    assert (met is not None and met.accepts(packet)) == (one.accepts(packet) and other.accepts(packet))


def test_a_match_without_overlapping_fields_stays_itself() -> None:
    match = Match.of(MaskedField(TCP_DST, 1, 0xFFFF))
    assert match.taken_apart() is match


def test_vlan_id_and_priority_share_one_field() -> None:
    match = Match.of(MaskedField(field("vlan_vid"), 0x1005, 0x1FFF), MaskedField(field("vlan_pcp"), 3, 7))
    assert match.taken_apart() == Match.of(MaskedField(field("vlan_tci"), 0x7005, 0xFFFF))


def test_bits_of_an_xreg_that_are_wildcarded_leave_no_field() -> None:
    match = Match.of(MaskedField(field("xreg0"), 1 << 32, 0xF << 32))
    assert match.taken_apart() == Match.of(MaskedField(REGISTERS[0], 1, 0xF))
