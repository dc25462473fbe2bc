from collections.abc import Callable

from vtrace_ovs.model.actions import Output
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.conjunctions import indexed
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.near_miss import SCANNED_WHOLE, near_misses

TCP = {"eth_type": 0x0800, "ip_proto": 6}
NET = (0x0A000000, 0xFFFFFF00)


def test_the_nearest_flows_come_first_with_readable_values(
    flow: Callable[..., Flow], match: Callable[..., Match], headers: Callable[..., Headers]
) -> None:
    index = indexed(0, [
        flow(0, 10, match(**TCP, ipv4_dst=NET, tcp_dst=80), Output(1)),
        flow(0, 20, match(eth_type=0x0800, ip_proto=17), Output(1)),
        flow(0, 30, match(**TCP, ipv4_dst=(0x0A090000, 0xFFFF0000), tcp_dst=22), Output(1)),
        flow(0, 40, match(**TCP, tcp_dst=(0x1BA, 0xFFFE), ct_state=(0x22, 0x22)), Output(1)),
        flow(0, 99, match(**TCP, tcp_dst=81)),
        flow(0, 50, match(eth_type=0x86DD, ip_proto=58, in_port=2, reg0=3), Output(1)),
    ])  # fmt: skip
    key = packed_state(headers(), 1, None).packed
    found = near_misses(index, key, layout.UNMODELLED, None, 5)
    assert [near.flow.priority for near in found] == [40, 10, 20, 30]
    assert [near.differences for near in found] == [
        (("ct_state", "+est+trk", "-est-trk"),),
        (("tcp_dst", "80", "443"),),
        (("ip_proto", "17", "6"),),
        (("ipv4_dst", "10.9.0.0/16", "10.0.0.2"), ("tcp_dst", "22", "443")),
    ]
    assert near_misses(index, key, 0, None, 0) == ()


def test_a_flow_for_another_ingress_port_is_further_away_than_one_for_another_network(
    flow: Callable[..., Flow], match: Callable[..., Match], headers: Callable[..., Headers]
) -> None:
    elsewhere = [flow(0, 100, match(in_port=port), Output(1)) for port in (14, 16, 18)]
    here = flow(0, 100, match(in_port=1, tun_id=7), Output(1))
    key = packed_state(headers(), 1, None).packed
    (nearest, *others) = near_misses(indexed(0, [*elsewhere, here]), key, 0, None, 3)
    assert nearest.differences == (("tun_id", "0x7", "0"),)
    assert [near.differences[0][0] for near in others] == ["in_port", "in_port"]


def test_only_flows_that_would_have_won_count(
    flow: Callable[..., Flow], match: Callable[..., Match], headers: Callable[..., Headers]
) -> None:
    index = indexed(0, [flow(0, p, match(**TCP, tcp_dst=p), Output(1)) for p in (5, 15)] + [flow(0, 10, match())])
    key = packed_state(headers(), 1, None).packed
    matched = index.search(key, 0).entry
    assert [near.flow.priority for near in near_misses(index, key, 0, matched, 3)] == [15]


def test_in_a_large_table_flows_one_field_away_are_still_found(
    flow: Callable[..., Flow], match: Callable[..., Match], headers: Callable[..., Headers]
) -> None:
    far = [flow(0, 7, match(**TCP, ipv4_dst=n, tcp_dst=n % 400), Output(1)) for n in range(SCANNED_WHOLE + 1)]
    near = flow(0, 3, match(**TCP, ipv4_dst=0x0A000002, tcp_dst=80), Output(1))
    key = packed_state(headers(), 1, None).packed
    found = near_misses(indexed(0, [*far, near]), key, layout.UNMODELLED, None, 3)
    assert [(miss.flow, miss.differences) for miss in found] == [(near.key, (("tcp_dst", "80", "443"),))]


def test_a_flow_that_ties_with_the_one_found_comes_first_without_a_difference(
    flow: Callable[..., Flow], match: Callable[..., Match], headers: Callable[..., Headers]
) -> None:
    index = indexed(
        0,
        [
            flow(0, 10, match(**TCP)),
            flow(0, 10, match(eth_type=0x0800), Output(1)),
            flow(0, 10, match(in_port=1)),
            flow(0, 20, match(**TCP, tcp_dst=80), Output(1)),
        ],
    )
    key = packed_state(headers(), 1, None).packed
    matched = index.search(key, 0).entry
    found = near_misses(index, key, 0, matched, 3)
    assert [(near.flow.priority, len(near.differences)) for near in found] == [(10, 0), (20, 1)]
    assert [len(near.flow.match.fields) for near in found] == [1, 3]
