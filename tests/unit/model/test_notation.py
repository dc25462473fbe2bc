import pytest

from vtrace_ovs.model.notation import flags_text, hexadecimal, port_text, sub_field_text, value_text
from vtrace_ovs.model.oxm import SubField, field


@pytest.mark.parametrize(
    ("name", "value", "mask", "text"),
    [
        ("ipv4_src", 0x0A000001, None, "10.0.0.1"),
        ("ipv4_src", 0, 0, "0.0.0.0/0"),
        ("ipv6_src", 1, None, "::1"),
        ("ipv6_src", 0xFE80 << 112, 0xFFC0 << 112, "fe80::/10"),
        ("eth_dst", 1 << 40, 1 << 40, "01:00:00:00:00:00/01:00:00:00:00:00"),
        ("tcp_dst", 443, None, "443"),
        ("tcp_dst", 0x400, 0xFC00, "0x400/0xfc00"),
        ("metadata", 0, None, "0"),
        ("packet_type", 0x10800, None, "(1,0x800)"),
        ("tun_flags", 1, None, "+oam"),
    ],
)
def test_values_read_as_ovs_writes_them(name: str, value: int, mask: int | None, text: str) -> None:
    assert value_text(field(name), value, mask) == text


def test_flags_under_a_mask_have_signs_and_whole_ones_do_not() -> None:
    names = ("a", "b", "c")
    assert flags_text(names, 0b001, 0b011) == "+a-b"
    assert flags_text(names, 0b101, 0b111) == "a|c"
    assert flags_text(names, 0, 0b111) == "0"


def test_reserved_ports_have_names() -> None:
    assert (port_text(5), port_text(0xFFFFFFFE)) == ("5", "LOCAL")


def test_zero_has_no_hexadecimal_prefix() -> None:
    assert (hexadecimal(0), hexadecimal(16)) == ("0", "0x10")


def test_sub_fields_are_named_as_in_move() -> None:
    reg = field("reg0")
    assert sub_field_text(SubField(reg, 0, 32)) == "NXM_NX_REG0[]"
    assert sub_field_text(SubField(reg, 5, 1)) == "NXM_NX_REG0[5]"
    assert sub_field_text(SubField(reg, 5, 3)) == "NXM_NX_REG0[5..7]"
