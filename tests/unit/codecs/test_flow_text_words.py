import pytest

from vtrace_ovs.codecs.flow_text_words import PortNames, masked, number, split, sub_field, table_number, unquoted
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.oxm import SubField, field

NAMES = PortNames({"p1": 1, "7x y": 3, "LOCAL": 9})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b,,c", ["a", "b", "c"]),
        ("ct(commit,nat(src=1,2)),output:1", ["ct(commit,nat(src=1,2))", "output:1"]),
        ('in_port="a,b)",ip', ['in_port="a,b)"', "ip"]),
        (r'in_port="a\",b",ip', [r'in_port="a\",b"', "ip"]),
        ("x[1,2],{a,b}", ["x[1,2]", "{a,b}"]),
    ],
)
def test_parts_are_split_outside_brackets_and_quotes(text: str, parts: list[str]) -> None:
    assert split(text) == parts


@pytest.mark.parametrize("text", ["ct(commit", 'in_port="a', "a),b", "{x"])
def test_a_bracket_that_is_never_closed_means_a_cut_dump(text: str) -> None:
    with pytest.raises(CodecError, match="cut off"):
        split(text)


@pytest.mark.parametrize(
    ("text", "port"),
    [("1", 1), ("65534", OFPP_LOCAL), ("LOCAL", OFPP_LOCAL), ("local", OFPP_LOCAL), ("p1", 1), ('"7x y"', 3)],
)
def test_ports_have_numbers_reserved_names_or_names(text: str, port: int) -> None:
    assert NAMES.port(text) == port


def test_a_quoted_name_is_never_a_reserved_one() -> None:
    assert NAMES.port('"LOCAL"') == 9


def test_a_port_name_without_a_number_says_what_to_add() -> None:
    with pytest.raises(CodecError, match="--no-names"):
        NAMES.port("p9")


@pytest.mark.parametrize("text", ['"a', '"\\u12"', "x" * 3])
def test_only_quoted_names_are_unquoted(text: str) -> None:
    if text.startswith('"'):
        with pytest.raises(CodecError, match="quoted"):
            unquoted(text)
    else:
        assert unquoted(text) == text


def test_a_table_name_is_no_table_number() -> None:
    assert table_number("9") == 9
    with pytest.raises(CodecError, match="dump with --no-names"):
        table_number("acl")


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "99"])
def test_numbers_have_a_range(text: str) -> None:
    with pytest.raises(CodecError):
        number(text, 98)


@pytest.mark.parametrize(
    ("name", "text", "value", "mask"),
    [
        ("ipv4_src", "10.0.0.0/8", 0x0A000000, 0xFF000000),
        ("ipv4_src", "10.0.0.5/255.0.0.255", 0x0A000005, 0xFF0000FF),
        ("ipv6_dst", "fe80::/10", 0xFE80 << 112, 0xFFC0 << 112),
        ("eth_dst", "01:00:00:00:00:00/01:00:00:00:00:00", 1 << 40, 1 << 40),
        ("ct_state", "+new-est+trk", 0x21, 0x23),
        ("ct_state", "new|trk", 0x21, 0xFF),
        ("ct_state", "0", 0, 0xFF),
        ("ct_state", "0x21/0x21", 0x21, 0x21),
        ("tcp_flags", "+syn-[800]", 0x002, 0x802),
        ("tcp_flags", "syn|ack", 0x012, 0xFFF),
        ("tun_flags", "-oam", 0, 1),
        ("ip_frag", "not_later", 0, 2),
        ("ip_frag", "later", 3, 3),
        ("packet_type", "(1,0x800)", 0x10800, 0xFFFFFFFF),
        ("in_port", "p1", 1, 0xFFFFFFFF),
        ("reg3", "0x10/0xf0", 0x10, 0xF0),
        ("tun_gtpu_msgtype", "5", 5, 5),
    ],
)
def test_values_are_read_in_the_notation_of_their_field(name: str, text: str, value: int, mask: int) -> None:
    found = masked(field(name), text, NAMES)
    assert (found.field, found.value, found.mask) == (field(name), value, mask)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ipv4_src", "10.0.0"), ("ipv4_src", "10.0.0.0/33"), ("eth_src", "0:1:2:3:4:5"), ("ct_state", "+new+odd"),
        ("tcp_flags", "syn|odd"), ("reg0", "0x1ffffffff"), ("ip_frag", "sometimes"), ("tcp_dst", "http"),
    ],
)  # fmt: skip
def test_a_value_that_is_none_of_its_field_is_refused(name: str, text: str) -> None:
    with pytest.raises(CodecError):
        masked(field(name), text, NAMES)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("NXM_NX_REG0[]", SubField(field("reg0"), 0, 32)),
        ("NXM_NX_REG0[4..7]", SubField(field("reg0"), 4, 4)),
        ("reg0", SubField(field("reg0"), 0, 32)),
        ("NXM_OF_IP_TOS[2..7]", SubField(field("ip_dscp"), 0, 6)),
        ("NXM_OF_IN_PORT[]", SubField(field("in_port"), 0, 16)),
        ("NXM_NX_FUTURE[]", None),
    ],
)
def test_bits_of_a_field_are_read_where_they_really_are(text: str, part: SubField | None) -> None:
    assert sub_field(text) == part


@pytest.mark.parametrize("text", ["NXM_NX_REG0[32]", "NXM_NX_REG0[5..2]", "reg0[", ""])
def test_bits_outside_of_a_field_are_refused(text: str) -> None:
    with pytest.raises(CodecError):
        sub_field(text)
