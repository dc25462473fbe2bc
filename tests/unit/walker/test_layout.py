from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.oxm import CATALOGUE, SubField, field, sized
from vtrace_ovs.walker import layout


@given(st.sampled_from([name for name, _ in layout._ORDER]), st.integers(0, 2**130))  # noqa: SLF001  the layout itself
def test_a_field_reads_back_what_was_written_and_leaves_the_rest(name: str, value: int) -> None:
    everything = (1 << 4000) - 1
    packed = layout.replaced(everything, name, value)
    assert layout.read(packed, name) == layout.read(layout.placed(name, value), name)
    assert layout.read(packed, name) == value % (1 << layout.bits_of(name).bit_count())
    assert packed | layout.bits_of(name) == everything


def test_wide_registers_lie_over_narrow_ones_with_the_first_on_top() -> None:
    value, _ = layout.packed_match([MaskedField(field("xreg1"), 0x2_0000_0003, (1 << 64) - 1)])
    assert (layout.read(value, "reg2"), layout.read(value, "reg3")) == (2, 3)
    value, _ = layout.packed_match([MaskedField(field("xxreg0"), 5 << 96 | 8, (1 << 128) - 1)])
    assert (layout.read(value, "reg0"), layout.read(value, "reg3")) == (5, 8)


def test_transport_ports_of_every_protocol_share_bits_and_vlan_parts_lie_in_the_tci() -> None:
    assert layout.offset_of(field("udp_dst")) == layout.offset_of(field("tcp_dst"))
    assert layout.offset_of(field("vlan_pcp")) == (layout.offset_of(field("vlan_tci")) or 0) + 13
    assert layout.offset_of(field("nw_tos")) == layout.offset_of(field("ip_ecn"))


def test_a_field_that_is_not_tracked_marks_the_match_as_unmodelled() -> None:
    value, mask = layout.packed_match([MaskedField(field("tun_gbp_id"), 7, 0xFFFF)])
    assert (value, mask) == (0, layout.UNMODELLED)
    assert layout.covered(SubField(field("tun_metadata1"), 0, 8)) is None


def test_a_tunnel_option_is_tracked_as_far_as_its_lowest_32_bits_whatever_its_length() -> None:
    option = field("tun_metadata0")
    low = layout.packed_match([MaskedField(sized(option, 4), 7, 0xFFFFFFFF)])
    assert low == (layout.placed("tun_metadata0", 7), layout.bits_of("tun_metadata0"))
    assert not layout.packed_match([MaskedField(sized(option, 8), 7, 0xFF)])[1] & layout.UNMODELLED
    assert layout.packed_match([MaskedField(sized(option, 8), 7, 1 << 33)])[1] == layout.UNMODELLED
    assert layout.covered(SubField(option, 16, 15)) is not None
    assert layout.covered(SubField(option, 16, 17)) is None


def test_fields_of_their_own_do_not_overlap() -> None:
    taken = 0
    for name, _ in layout._ORDER:  # noqa: SLF001  the layout itself
        assert not taken & layout.bits_of(name)
        taken |= layout.bits_of(name)
    assert {entry.name for entry in CATALOGUE} >= {name for name, _ in layout._ORDER} - {  # noqa: SLF001  the layout itself
        layout.INNER_VLAN,
        "unmodelled",
    }
