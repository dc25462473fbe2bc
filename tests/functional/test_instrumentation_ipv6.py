"""D2, D3 for IPv6: on a dual-stack pipeline packets leave as without us, and those of IPv6 are logged at every hop."""

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network
from itertools import cycle, product
from typing import Any

import pytest
from datapath_actions import copies, departures
from openflow_peer import OpenFlowPeer
from vfd_chain import CONTROLLER_ID, PORTS, PRODUCTION, Chain, traced

from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, ProbeKind
from vtrace_ovs.instrumentation.reading import LogReading, read_log
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import Fragment, IpFamily
from vtrace_ovs.model.records import Loc
from vtrace_ovs.trajectories.identity import packet_id

_WORDS = {"ip": "ipv6", "tcp": "tcp6", "udp": "udp6", "nw_src": "ipv6_src", "nw_dst": "ipv6_dst", "icmp": "icmp6"}
SOURCE = "fd00:0:1::1"
DESTINATIONS = (
    *(f"fd00:0:{n}::2" for n in range(1, 10)),
    *("fd00:0:1::1", "fd00:0:1::3", "fd00:0:2::9", "2001:db8::7"),
)
PROTOCOLS = ("tcp6,tcp_dst=80", "tcp6,tcp_dst=22", "udp6,udp_dst=53", "icmp6,icmpv6_type=128")


def in_ipv6(flow: str) -> str:
    """An IPv4 flow of the chain as one of IPv6: 10.0.N.M is fd00:0:N::M; VTEPs stay."""
    flow = re.sub(r"(nw_src|nw_dst|src)=10\.0\.(\d+)\.0/24", r"\1=fd00:0:\2::/48", flow)
    flow = re.sub(r"(nw_src|nw_dst)=10\.0\.(\d+)\.(\d+)", r"\1=fd00:0:\2::\3", flow)
    flow = flow.replace("198.51.100.0/24", "2001:db8::/32").replace("src=10.9.9.9", "src=fd09::9")
    return re.sub(r"\b(ip|tcp|udp|icmp|nw_src|nw_dst)\b(?=[,= ])", lambda word: _WORDS[word[0]], flow)


@pytest.fixture
def chain(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> Chain:
    built = Chain(ovs, peer)
    built.build()
    for name, lines in PRODUCTION.items():
        text = re.sub(r"\\\n\s*", "", lines)
        six = [in_ipv6(line.strip()) for line in text.strip().splitlines() if re.search(r"\b(ip|tcp|udp)[, ]", line)]
        assert len(six) >= 4
        ovs.ofctl("add-flows", name, "-", stdin="\n".join(six))
    return built


def six(**parts: Any) -> ArmedTask:  # noqa: ANN401 - fields of a Filter
    filter_ = Filter("ipv6", source=IPv6Network(f"{SOURCE}/128"), family=IpFamily.IPV6)
    return replace(traced(), slot=6, filter=replace(filter_, **parts))


def packet(in_port: int, source: str, destination: str, protocol: str = "udp6,udp_dst=53", tos: int = 0) -> str:
    addresses = f"ipv6_src={source},ipv6_dst={destination}"
    return f"{protocol},in_port={in_port},{addresses},nw_ttl=64,nw_tos={tos & 0xFC},nw_ecn={tos & 3}"


def datapath(chain: Chain, flow: str) -> list[str]:
    """One line per recirculation."""
    return [line.removeprefix("Datapath actions: ") for line in chain.trace("sw1", flow).splitlines()]


def receive(chain: Chain, destination: str, tos: int = 0, hop_limit: int = 64) -> None:
    chain.ovs.appctl(
        "netdev-dummy/receive",
        "vm1",
        f"in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:fe),eth_type(0x86dd),ipv6(src={SOURCE},"
        f"dst={destination},label=0xbeef5,proto=17,tclass={tos},hlimit={hop_limit},frag=no),udp(src=4000,dst=53)",
    )


def listen(chain: Chain) -> None:
    for peer in chain.peers.values():
        peer.listen(CONTROLLER_ID)


def readings(chain: Chain, bridge: str, count: int) -> list[LogReading]:
    found = [read_log(chain.peers[bridge].packet_in(), chain.plans[bridge]) for _ in range(count)]
    return [reading for reading in found if reading is not None]


def nothing_more(chain: Chain) -> bool:
    """A barrier reply comes after every packet-in sent before it."""
    return not chain.peers["sw1"].waiting_packet_ins()


def test_both_families_leave_exactly_as_without_us(chain: Chain) -> None:
    corpus = [
        (packet(port, source, destination, protocol, tos), tos)
        for (port, source, destination, protocol), tos in zip(
            product((1, 2), (SOURCE, "fd00:0:1::77"), DESTINATIONS, PROTOCOLS),
            cycle((0, 0x29, 0xB8, 1, 2)),
            strict=False,
        )
    ]
    corpus += [
        (f"{protocol},in_port=1,nw_src=10.0.1.1,nw_dst=10.0.{n}.2,nw_ttl=64,nw_tos=0", 0)
        for protocol, n in product(("tcp,tcp_dst=80", "udp,udp_dst=53"), range(1, 10))
    ]
    plain = [datapath(chain, flow) for flow, _ in corpus]
    chain.arm(six(), traced())
    copied = marked = 0
    for (flow, tos), clean in zip(corpus, plain, strict=True):
        lines = datapath(chain, flow)
        copied += sum(map(copies, lines))
        leaving, left = ([one for line in seen for one in departures(line, tos)] for seen in (lines, clean))
        for now, before in zip(leaving, left, strict=True):
            if now.in_tunnel:
                marked += now != before
                assert now.without_dscp() == before.without_dscp(), flow
            else:
                assert now == before, flow
    assert copied > 60
    assert marked > 0


def test_every_traffic_class_comes_out_as_the_tenant_sent_it(chain: Chain) -> None:
    chain.arm(six())
    carried = {mark.code for mark in MarkPlan.of().marks()}
    for tos in range(256):
        if tos >> 2 not in carried:
            (line,) = datapath(chain, packet(1, SOURCE, "fd00:0:2::2", tos=tos))
            assert {departure.tos for departure in departures(line, tos)} == {tos}


def test_an_ipv6_packet_is_logged_at_every_hop_as_the_tenant_sent_it(chain: Chain) -> None:
    chain.arm(six(), traced())
    listen(chain)
    receive(chain, "fd00:0:2::2", tos=1)
    copies_of = {
        name: [chain.peers[name].packet_in() for _ in range(n)] for name, n in (("sw1", 3), ("rt", 2), ("sw2", 2))
    }
    walk = [read_log(copy, chain.plans[name]) for name, found in copies_of.items() for copy in found]
    assert [reading and (reading.hop_index, reading.probe.loc, reading.slot) for reading in walk] == [
        *((1, Loc.IN, 6), (1, Loc.OUT, 6), (1, Loc.OUT, 6)),
        *((2, Loc.IN, 6), (2, Loc.OUT, 6), (3, Loc.IN, 6), (3, Loc.OUT, 6)),
    ]
    seen = [headers(copy.frame, copy.total_length) for found in copies_of.values() for copy in found]
    assert {(one.dscp, one.ecn, one.flow_label) for one in seen} == {(0, 1, 0xBEEF5)}
    assert len({packet_id(one) for one in seen}) == 1


def receive_fragment(chain: Chain, offset_and_more: int) -> None:
    """A UDP fragment to port 53 behind hop-by-hop options; ``netdev-dummy`` composes none of IPv6 itself."""
    behind = bytes([44, 0, 1, 4, 0, 0, 0, 0, 17, 0]) + struct.pack("!HI", offset_and_more, 7)
    body = behind + struct.pack("!HHHH", 4000, 53, 24, 0) + bytes(16)
    ends = IPv6Address(SOURCE).packed + IPv6Address("fd00:0:1::3").packed
    frame = (
        bytes.fromhex("0200000000fe02000000000186dd") + struct.pack("!IHBB", 6 << 28, len(body), 0, 64) + ends + body
    )
    chain.ovs.appctl("netdev-dummy/receive", "vm1", frame.hex())


def test_fragments_a_filter_cannot_see_are_reported_and_traced_once_they_are_looked_for(chain: Chain) -> None:
    first, later = 1, 185 << 3 | 1
    whole, told = (Loc.IN, Loc.OUT), ("told",)
    listen(chain)
    for filter_parts, looked_for, of_later, of_first in (
        ({}, False, whole, whole),
        ({"protocol": 17}, False, told, whole),
        ({"protocol": 17, "destination_port": 53}, False, told, told),
        ({"protocol": 17, "destination_port": 53}, True, whole, whole),
    ):
        chain.arm(replace(six(**filter_parts), fragments=looked_for))
        for offset_and_more, kind, expected in (
            (later, Fragment.LATER, of_later),
            (first, Fragment.FIRST, of_first),
        ):
            receive_fragment(chain, offset_and_more)
            for wanted in expected:
                copy = chain.peers["sw1"].packet_in()
                seen, reading = headers(copy.frame, copy.total_length), read_log(copy, chain.plans["sw1"])
                assert (seen.fragment, seen.ip_id) == (kind, 7)
                assert reading is not None
                assert wanted == ("told" if reading.probe.kind is ProbeKind.FRAGMENT else reading.probe.loc)
        assert nothing_more(chain)


def test_the_hop_limit_is_a_ttl(chain: Chain) -> None:
    chain.arm(six())
    listen(chain)
    receive(chain, "fd00:0:2::2", hop_limit=2)
    readings(chain, "sw1", 3)
    came, dropped = readings(chain, "rt", 2)
    assert (came.probe.loc, dropped.probe.loc) == (Loc.IN, Loc.ERROR)
    assert dropped.probe.flow is not None
    assert dropped.probe.flow.priority == 10


def test_a_tenants_mark_in_one_family_is_nothing_to_tasks_of_the_other(chain: Chain) -> None:
    code = MarkPlan.of().code(1, 0)
    chain.arm(traced())
    listen(chain)
    receive(chain, "fd00:0:1::3", tos=code << 2)
    assert nothing_more(chain)
    chain.arm(traced(), six())
    receive(chain, "fd00:0:1::3", tos=code << 2)
    (reading,) = readings(chain, "sw1", 1)
    assert (reading.probe.kind, reading.slot) == (ProbeKind.UNCOLORED, 6)


def test_disarming_leaves_flows_and_meters_as_they_were(chain: Chain) -> None:
    before = chain.dumps()
    chain.arm(six(), traced())
    assert set(chain.plans) == set(PORTS)
    chain.disarm()
    assert chain.dumps() == before
