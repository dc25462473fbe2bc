import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.filters import parse, reply_request, require_two_ways, reversed_filter, trace_request
from vtrace_ovs.model.filter import Scope


def test_the_reply_filter_has_its_own_canonical_text() -> None:
    there = parse("tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5,tp_dst=443")
    back = reversed_filter(there)
    assert back.text == "tcp,nw_src=10.0.1.5,nw_dst=10.0.0.1,tp_src=443"
    assert reversed_filter(back) == there


def test_the_request_for_replies_looks_from_the_other_end() -> None:
    there = trace_request("tcp,nw_dst=10.0.1.5", packet_count=3, trace_time=9, vni=7, source_vm="a", destination_vm="b")
    back = reply_request(there, 12)
    assert (back.answers, back.packet_count, back.trace_time) == (12, 3, 9)
    assert back.scope == Scope(7, "b", "a")
    assert back.filter.text == "tcp,nw_src=10.0.1.5"
    assert reply_request(trace_request("tcp", wide=True), 1).scope.wide


def test_what_could_be_its_own_reply_is_refused() -> None:
    require_two_ways(parse("icmp,nw_src=10.0.0.1,nw_dst=10.0.1.5"))
    for text in ("tcp,tp_dst=443", "icmp,nw_src=10.0.0.1", "ip"):
        with pytest.raises(UsageError, match="name both ends"):
            require_two_ways(parse(text))
