from ipaddress import IPv4Network

from vtrace_ovs.filters.canonical import canonical_text
from vtrace_ovs.model.filter import Filter


def test_the_open_filter_is_ip() -> None:
    assert canonical_text(Filter("")) == "ip"


def test_protocol_comes_first_then_addresses_then_ports() -> None:
    filter_ = Filter("", 6, IPv4Network("10.0.0.1/32"), IPv4Network("10.0.1.0/24"), 0, 443)
    assert canonical_text(filter_) == "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.0/24,tp_src=0,tp_dst=443"


def test_a_protocol_without_keyword_is_a_number() -> None:
    assert canonical_text(Filter("", 47)) == "ip,nw_proto=47"
