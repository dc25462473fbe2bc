import pytest

from vtrace_ovs.codecs.flow_text_setters import MODIFIED, load, modify, set_field
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.model.actions import OFPP_LOCAL, SetField
from vtrace_ovs.model.oxm import field

NAMES = PortNames({"p1": 1})


@pytest.mark.parametrize(
    ("name", "text", "target", "value", "mask"),
    [
        ("mod_vlan_vid", "5", "vlan_tci", 0x1005, 0x1FFF),
        ("mod_vlan_pcp", "3", "vlan_tci", 0x7000, 0xF000),
        ("set_vlan_vid", "5", "vlan_tci", 0x005, 0x0FFF),
        ("set_vlan_pcp", "3", "vlan_tci", 0x6000, 0xE000),
        ("mod_dl_src", "00:00:00:00:00:01", "eth_src", 1, 2**48 - 1),
        ("mod_nw_dst", "1.2.3.4", "ipv4_dst", 0x01020304, 0xFFFFFFFF),
        ("mod_nw_tos", "32", "ip_dscp", 8, 0x3F),
        ("mod_nw_ttl", "5", "nw_ttl", 5, 0xFF),
        ("mod_tp_dst", "6", "udp_dst", 6, 0xFFFF),
        ("set_mpls_ttl", "5", "mpls_ttl", 5, 0xFF),
    ],
)
def test_older_actions_write_fields(name: str, text: str, target: str, value: int, mask: int) -> None:
    assert name in MODIFIED
    assert modify(name, text, NAMES, 17) == (SetField(field(target), value, mask),)


def test_a_port_of_an_unknown_protocol_is_not_guessed() -> None:
    assert modify("mod_tp_src", "5", NAMES, None) is None


def test_a_field_inside_another_is_written_there() -> None:
    assert set_field("4101->vlan_vid", NAMES) == (SetField(field("vlan_tci"), 0x1005, 0x1FFF),)
    assert set_field("0x100000002->xreg0", NAMES) == (SetField(field("xreg0"), 0x100000002, 2**64 - 1),)
    assert set_field("0x1/0xf->reg0", NAMES) == (SetField(field("reg0"), 1, 0xF),)


def test_the_ingress_port_is_written_whole_in_either_notation() -> None:
    whole = field("in_port").full_mask
    assert load("0->NXM_OF_IN_PORT[]", NAMES) == (SetField(field("in_port"), 0, whole),)
    assert load("0xfffe->NXM_OF_IN_PORT[]", NAMES) == (SetField(field("in_port"), OFPP_LOCAL, whole),)
    assert set_field("p1->in_port", NAMES) == (SetField(field("in_port"), 1, whole),)


def test_loads_are_placed() -> None:
    assert load("0x5->NXM_NX_REG0[4..7]", NAMES) == (SetField(field("reg0"), 0x50, 0xF0),)
    assert load("5", NAMES) is None


def test_writing_no_bit_is_writing_nothing() -> None:
    assert set_field("5/0->vlan_vid", NAMES) == (SetField(field("vlan_vid"), 0, 0),)
