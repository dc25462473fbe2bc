import pytest

from vtrace_ovs.codecs.flow_text_match import parse_match, transport_field
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import field
from vtrace_ovs.model.wording import match_text


def parsed(text: str) -> Match:
    return parse_match(text.split(","), PortNames({"p1": 1}))


@pytest.mark.parametrize(
    "text",
    [
        "tcp,in_port=1,nw_dst=10.0.1.0/24,tp_dst=443",
        "udp6,ipv6_src=fe80::1,tp_src=546",
        "icmp,icmp_type=8,icmp_code=0",
        "icmp6,icmp_type=135,nd_target=fe80::1",
        "arp,arp_spa=10.0.0.1,arp_op=1",
        "dl_vlan=100,dl_vlan_pcp=3",
        "vlan_tci=0x0002/0x0002",
        "ip,nw_tos=44,nw_ecn=2",
        "ct_state=+est+trk,ct_zone=5,ip",
        "reg0=0x1,reg1=0x2,metadata=0x3",
        "gtpu_flags=0x1,gtpu_msgtype=5",
        "mpls,mpls_label=5",
        "sctp,tp_src=5",
    ],
)
def test_a_match_is_what_it_is_printed_as(text: str) -> None:
    assert match_text(parsed(text)) == text


def test_overlapping_fields_are_taken_apart() -> None:
    assert parsed("xreg0=0x100000002") == parsed("reg0=0x1,reg1=0x2")
    assert parsed("dl_vlan=65535") == parsed("vlan_tci=0")


def test_a_mask_of_nothing_matches_everything() -> None:
    assert parsed("ip,nw_src=0.0.0.0/0,nw_tos=0/0") == parsed("ip")


def test_a_field_of_a_newer_open_vswitch_is_kept_by_name() -> None:
    (found,) = parsed("future=0x5/0xf").fields
    assert (found.field.name, found.value, found.mask) == ("future", 5, 0xF)
    assert parsed("future=5").fields[0].field is found.field


@pytest.mark.parametrize("text", ["quic", "tp_dst=5", "ip,tp_src=5", "future=hello", "in_port=p9", "no-name=3", "=3"])
def test_what_is_no_match_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        parsed(text)


def test_ports_are_those_of_the_protocol() -> None:
    assert transport_field("tp_src", 132) is field("sctp_src")
    assert transport_field("icmp_code", 58) is field("icmpv6_code")
