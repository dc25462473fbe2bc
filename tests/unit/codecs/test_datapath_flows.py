from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from vtrace_ovs.codecs.datapath_flows import (
    DatapathFlow,
    datapath_flows,
    inner_filter,
    left_out,
    may_meet,
    outer_filter,
    traced_actions,
)
from vtrace_ovs.model.datapath import DatapathQuestion
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import FiveTuple, IPAddress, IpProtocol, Tunnel

HERE, THERE = IPv4Address("172.31.0.21"), IPv4Address("172.31.0.13")
KEY = (
    "skb_priority(0/0),tunnel(tun_id=0x66,src=172.31.0.21,dst=172.31.0.13,ttl=64/0,tp_src=4854/0,flags(-df-csum+key)),"
    "ct_state(0/0),ct_label(0/0),recirc_id(0),dp_hash(0/0),in_port(3),packet_type(ns=0,id=0),"
    "eth(src=0a:01:0a:00:02:01/00:00:00:00:00:00,dst=02:01:0a:00:02:16),eth_type(0x0800),"
    "ipv4(src=10.0.1.11/255.255.0.0,dst=10.0.2.22/0.0.0.0,proto=17,tos=0/0,ttl=63/0,frag=no),udp(src=5689/0,dst=5000)"
)
PUSH = (
    "meter(0),tnl_push(tnl_port(3),header(size=50,type=4,eth(dst=06:00:ac:1f:00:15,src=06:00:ac:1f:00:0b,"
    "dl_type=0x0800),ipv4(src=172.31.0.11,dst=172.31.0.21,proto=17,tos=0,ttl=64,frag=0x4000),"
    "udp(src=0,dst=4789,csum=0x0),vxlan(flags=0x8000000,vni=0x65)),out_port(7)),6"
)
DUMP = f"""\
flow-dump from the main thread:
ufid:4150df88-496f-4ef5-8fb1-cd57f81443e9, {KEY}, packets:40, bytes:2480, used:0.032s, dp:ovs, actions:1, \
dp-extra-info:miniflow_bits(9,3)
ufid:2b9d8e18-dc25-4f05-8ddf-c60526ce0f31, recirc_id(0),in_port(6),eth_type(0x0800), packets:257, bytes:17986, \
used:1.5s, flags:SFP., dp:ovs, actions:{PUSH}
ufid:1b180b91-5416-4d18-bd86-beff96a09b19, recirc_id(0),in_port(2), packets:0, bytes:0, used:never, actions:drop
"""


def test_the_flows_of_a_dump_are_what_they_match_and_what_they_do() -> None:
    inside, push, unused = datapath_flows(DUMP)
    assert (inside.key, inside.actions, inside.used, inside.tunnelled) == (KEY, "1", 0.032, True)
    assert (push.actions, push.used, push.tunnelled) == (PUSH, 1.5, False)
    assert (unused.ufid[:8], unused.actions, unused.used) == ("1b180b91", "drop", None)


def test_a_megaflow_is_what_its_key_matches_on() -> None:
    inside, *_ = datapath_flows(DUMP)
    assert inside.megaflow == (
        "tunnel(tun_id=0x66,src=172.31.0.21,dst=172.31.0.13,flags(-df-csum+key)),recirc_id(0),in_port(3),"
        "packet_type(ns=0,id=0),eth(dst=02:01:0a:00:02:16),eth_type(0x0800),"
        "ipv4(src=10.0.1.11/255.255.0.0,proto=17,frag=no),udp(dst=5000)"
    )


@pytest.mark.parametrize(
    ("actions", "told", "missing"),
    [
        ("drop", "tnl_pop(3)", ("tnl_pop(3)",)),
        ("tnl_pop(3)", "tnl_pop(3)", ()),
        ("tnl_pop(3)", "tnl_pop(4)", ("tnl_pop(4)",)),
        ("drop", "drop", ()),
        ("1", "drop", ()),
        ("1", "1,2", ("port 2",)),
        ("2,1", "1,2", ()),
        ("set(ipv4(ttl=63)),1", "1", ()),
        ("meter(0)", PUSH, ("port 6",)),
        (PUSH, PUSH, ()),
        ("drop", "clone(set(eth(src=02:00:00:00:00:01)),5)", ("port 5",)),
        ("clone(5)", "5", ()),
        ("check_pkt_len(size=9,gt(drop),le(drop))", "check_pkt_len(size=9,gt(userspace(pid=0)),le(2))", ("port 2",)),
        ("check_pkt_len(size=9,gt(drop),le(2))", "check_pkt_len(size=9,gt(drop),le(trunc(8),2))", ()),
        ("ct(zone=1),recirc(0x7)", "ct(zone=1),recirc(0x8)", ()),
        ("drop", "ct(commit,zone=1,nat(src=10.0.0.1)),recirc(0x8)", ("another pass",)),
        ("userspace(pid=0,slow_path(action))", "1", ()),
        ("userspace(pid=0,controller(reason=1))", "userspace(pid=0,controller(reason=1)),1", ("port 1",)),
        ("1", "userspace(pid=0,controller(reason=1)),1", ()),
    ],
)
def test_what_actions_leave_out_are_the_ends_that_packets_miss(
    actions: str, told: str, missing: tuple[str, ...]
) -> None:
    assert left_out(actions, told) == missing


def test_of_a_trace_the_first_pass_is_what_its_datapath_flow_does() -> None:
    answer = 'Flow: udp\n\nbridge("br0")\n\nDatapath actions: ct(zone=1),recirc(0x1)\n===\nDatapath actions: 2\n'
    assert traced_actions(answer) == "ct(zone=1),recirc(0x1)"
    assert traced_actions("Flow: udp\n") is None


SIX = (IPv6Address("fd00::1"), IPv6Address("fd00::2"))


@pytest.mark.parametrize(
    ("protocol", "ends", "ports", "tunnel", "outside", "inside"),
    [
        (
            IpProtocol.UDP,
            (HERE, THERE),
            (7, 8),
            Tunnel(102, HERE, THERE),
            "tun_id=0x66,tun_src=172.31.0.21,tun_dst=172.31.0.13",
            "dl_type=0x0800,nw_src=172.31.0.21,nw_dst=172.31.0.13,nw_proto=17,udp_src=7,udp_dst=8",
        ),
        (
            IpProtocol.ICMPV6,
            SIX,
            (None, None),
            Tunnel(1, *SIX),
            "tun_id=0x1,tun_ipv6_src=fd00::1,tun_ipv6_dst=fd00::2",
            "dl_type=0x86dd,ipv6_src=fd00::1,ipv6_dst=fd00::2,nw_proto=58",
        ),
        (
            *(IpProtocol.TCP, SIX, (1, None), None, ""),
            "dl_type=0x86dd,ipv6_src=fd00::1,ipv6_dst=fd00::2,nw_proto=6,tcp_src=1",
        ),
    ],
)
def test_traffic_is_a_filter_for_the_flows_it_may_meet(
    protocol: IpProtocol,
    ends: tuple[IPAddress, IPAddress],
    ports: tuple[int | None, int | None],
    tunnel: Tunnel | None,
    outside: str,
    inside: str,
) -> None:
    traffic = Filter.of(FiveTuple(protocol, *ends, *ports))
    between = None if tunnel is None else (tunnel.source, tunnel.destination)
    wanted = inner_filter(DatapathQuestion("s1", traffic, between, None if tunnel is None else tunnel.vni))
    assert wanted == ",".join(filter(None, (outside, inside)))


def test_where_there_is_no_tunnel_mac_addresses_tell_whose_traffic_it_is() -> None:
    traffic = Filter.of(FiveTuple(IpProtocol.ICMP, HERE, THERE))
    question = DatapathQuestion("s1", traffic, macs=("02:00:00:00:00:01", "02:00:00:00:00:02"))
    assert inner_filter(question).startswith("dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,dl_type=0x0800")


def test_the_packets_around_are_those_between_the_ends_of_the_tunnel() -> None:
    assert outer_filter((HERE, THERE)) == "dl_type=0x0800,nw_src=172.31.0.21,nw_dst=172.31.0.13"
    assert outer_filter(SIX) == "dl_type=0x86dd,ipv6_src=fd00::1,ipv6_dst=fd00::2"
    assert outer_filter((None, THERE)) is None


INNER = (
    "recirc_id(0),tunnel(tun_id=0x65,src=172.31.0.11,dst=172.31.0.13,tos=0/0),in_port(2),eth_type(0x0800),"
    "ipv4(src=10.0.1.11{mask},dst=10.0.2.22/0.0.0.0,proto=17,tos=0x1c/0xfc,ttl=63,frag=no),udp(src=1/0,dst=2)"
)
INNER6 = (
    "in_port(2),eth_type(0x86dd),ipv6(src=fd00::1:0/ffff:ffff:ffff:ffff::,dst=fd00::2,label=0/0,proto=17,tclass=0x1d)"
)


@pytest.mark.parametrize(
    ("key", "source", "destination", "dscps", "expected"),
    [
        (INNER, "10.0.1.0/24", "192.0.2.1/32", (), True),
        (INNER, "10.0.2.0/24", None, (), False),
        (INNER.replace("{mask}", "/255.0.0.0"), "10.0.2.0/24", None, (), True),
        (INNER, None, None, (3, 7), True),
        (INNER, None, None, (3, 11), False),
        (INNER6, "fd00::/112", "fd00::/64", (7,), True),
        (INNER6, "fd00:0:0:1::/64", None, (7,), False),
        (INNER6, None, "fd00::1/128", (7,), False),
        (INNER6, None, None, (0,), False),
        ("in_port(2),eth_type(0x0806)", "10.0.2.0/24", None, (3,), True),
    ],
)
def test_networks_and_dscps_are_looked_for_in_what_a_flow_matches(
    key: str, source: str | None, destination: str | None, dscps: tuple[int, ...], *, expected: bool
) -> None:
    traffic = Filter(
        "udp",
        17,
        source=None if source is None else ip_network(source),
        destination=None if destination is None else ip_network(destination),
    )
    flow = DatapathFlow("", key.replace("{mask}", ""), "drop", None)
    assert may_meet(flow, DatapathQuestion("s1", traffic, dscps=frozenset(dscps))) is expected
