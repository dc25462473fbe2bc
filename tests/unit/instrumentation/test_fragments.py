from ipaddress import IPv4Network, IPv6Network

import pytest

from vtrace_ovs.instrumentation.fragments import fragment_matches, source_matches, task_matches
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.wording import match_text

WEB = IPv4Network("10.0.1.11/32")
HOST = IPv6Network("fd00::11/128")


@pytest.mark.parametrize(
    ("traffic", "fragments"),
    [
        (Filter("", 6, WEB, destination_port=443), ["tcp,nw_src=10.0.1.11,nw_frag=yes,tp_dst=0"]),
        (Filter("", 1, WEB, icmp_type=8), ["icmp,nw_src=10.0.1.11,nw_frag=yes,icmp_type=0"]),
        (Filter("", 17, WEB), []),
        (Filter("", source=WEB), []),
        (
            Filter("", 17, HOST, source_port=53, family=IpFamily.IPV6),
            ["udp6,ipv6_src=fd00::11,nw_frag=yes,tp_src=0", "ipv6,ipv6_src=fd00::11,nw_proto=44,nw_frag=later"],
        ),
        (Filter("", 6, HOST, family=IpFamily.IPV6), ["ipv6,ipv6_src=fd00::11,nw_proto=44,nw_frag=later"]),
        (Filter("", source=HOST, family=IpFamily.IPV6), []),
    ],
    ids=["ports", "an ICMP type", "no ports", "any protocol", "ports over IPv6", "a protocol over IPv6", "any IPv6"],
)
def test_what_a_filters_own_match_misses(traffic: Filter, fragments: list[str]) -> None:
    assert [match_text(match) for match in fragment_matches(traffic)] == fragments


def test_fragments_of_aliases_are_fragments_of_the_task_but_do_not_enter() -> None:
    alias = Filter("", 6, IPv4Network("203.0.113.9/32"), destination_port=443)
    task = ArmedTask(1, Filter("", 6, WEB, destination_port=443), (), 1, 0.0, aliases=(alias,), fragments=True)
    assert (len(source_matches(task)), len(task_matches(task))) == (2, 4)
