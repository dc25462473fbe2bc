import pytest

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import field, unnamed
from vtrace_ovs.model.wording import flow_text, match_text


def exact(name: str, value: int) -> MaskedField:
    return MaskedField(field(name), value, field(name).full_mask)


def test_protocol_words_stand_for_type_and_protocol() -> None:
    match = Match.of(exact("eth_type", 0x0800), exact("ip_proto", 6), exact("in_port", 3), exact("tcp_dst", 443))
    network = MaskedField(field("ipv4_dst"), 0x0A000100, 0xFFFFFF00)
    assert match_text(match.with_fields(network)) == "tcp,in_port=3,nw_dst=10.0.1.0/24,tp_dst=443"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], ""),
        ([exact("eth_type", 0x88CC)], "dl_type=0x88cc"),
        ([exact("eth_type", 0x0800), exact("ip_proto", 50)], "ip,nw_proto=50"),
        ([exact("eth_type", 0x86DD), exact("ip_proto", 58), exact("icmpv6_type", 135)], "icmp6,icmp_type=135"),
        ([exact("eth_type", 0x0806), exact("arp_op", 1)], "arp,arp_op=1"),
        ([exact("in_port", 0xFFFFFFFE)], "in_port=LOCAL"),
        ([MaskedField(field("ct_state"), 0x21, 0x23)], "ct_state=+new-est+trk"),
        ([exact("ct_state", 0x21)], "ct_state=new|trk"),
        ([exact("reg0", 0)], "reg0=0"),
        ([MaskedField(field("reg3"), 0x10, 0xF0)], "reg3=0x10/0xf0"),
        ([MaskedField(field("vlan_tci"), 0x1000, 0x1000)], "vlan_tci=0x1000/0x1000"),
        ([exact("vlan_vid", 0x1064)], "dl_vlan=100"),
        ([exact("ip_dscp", 11)], "nw_tos=44"),
        ([MaskedField(field("ip_frag"), 3, 3)], "nw_frag=later"),
        ([exact("eth_src", 1)], "dl_src=00:00:00:00:00:01"),
        ([exact("tun_id", 0x42)], "tun_id=0x42"),
        ([MaskedField(field("ipv4_src"), 0x0A000005, 0xFF0000FF)], "nw_src=10.0.0.5/255.0.0.255"),
        ([MaskedField(unnamed(0xFFFE, 3, 4), 7, 0xFFFFFFFF)], "oxm_0xfffe_3=0x7"),
    ],
)
def test_fields_read_as_ovs_prints_them(fields: list[MaskedField], text: str) -> None:
    assert match_text(Match.of(*fields)) == text


def test_a_flow_is_named_by_table_cookie_priority_and_match() -> None:
    key = FlowKey(20, 100, Match.of(exact("eth_type", 0x0800)))
    assert flow_text(key) == "table=20, priority=100,ip"
    assert flow_text(key, 0x53) == "table=20, cookie=0x53, priority=100,ip"
    assert flow_text(FlowKey(0, 0, Match())) == "table=0, priority=0"
