from ipaddress import IPv4Network

import pytest

from vtrace_ovs.filters.values import number, prefix


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0080", 80), ("0x50", 80), ("0X50", 80)])
def test_numbers_are_decimal_or_hexadecimal(text: str, value: int) -> None:
    assert number("tp_dst", text, 0, 65535) == value


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_0", "٣", "0x", "1.0", "9" * 5000, "0x" + "f" * 5000])
def test_what_is_not_a_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tp_dst"):
        number("tp_dst", text, 0, 65535)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.1", "10.0.0.1/32"),
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("10.0.0.0/255.255.255.0", "10.0.0.0/24"),
        ("10.0.0.1/255.255.255.255", "10.0.0.1/32"),
    ],
)
def test_prefixes_are_read_in_both_forms(text: str, network: str) -> None:
    assert prefix("nw_src", text) == IPv4Network(network)


def test_a_prefix_of_length_zero_leaves_the_field_open() -> None:
    assert prefix("nw_src", "0.0.0.0/0") is None
    assert prefix("nw_src", "0.0.0.0/0.0.0.0") is None


@pytest.mark.parametrize("text", ["10.0.0", "010.0.0.1", "10.0.0.1/", "10.0.0.1/x", "10.0.0.1/-1", "/24", "1.2.3.4/0"])
def test_what_is_not_a_prefix_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nw_src"):
        prefix("nw_src", text)
