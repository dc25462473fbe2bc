"""Tenants that send whatever they like: forged marks, another's addresses, broken packets, floods of it."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import cycle
from operator import truediv

import pytest
from flooding import blasting
from scapy.layers.inet import IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from vtrace_program import UDP as TRAFFIC
from vtrace_program import FrameSender, Vtrace, captured, repeating

from vtrace_ovs.instrumentation.marks import MARKS_PER_SERIES, POOL_2
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.trajectory import Ending, Origin
from vtrace_ovs.model.verdict import CauseCode, Disposition

SERIES = len(POOL_2) // MARKS_PER_SERIES
HONEST, BROKEN, FORGED, SPOOFED = 0x1000, 0x2000, 0x3000, 0x4000
PAIR = {"src": "10.0.1.11", "dst": "10.0.2.22"}
PAIR6 = {"src": "fd00:0:0:1::11", "dst": "fd00:0:0:2::22"}
PORTS = {"sport": 4000, "dport": 5000}
DEAD = {Ending.OPEN, Ending.DROPPED}
SILENT = {BROKEN: DEAD, BROKEN + 1: DEAD, BROKEN + 16: {Ending.ON_WIRE}}
"""Open vSwitch tells nobody of a dead TTL, and writes no mark where the protocol is 0."""
FATES = {Disposition.DELIVERED, Disposition.DROPPED, Disposition.INCONCLUSIVE}
PATIENCE = 240.0
"""Seconds a busy machine may take for a trace while its servers stall."""
pytestmark = pytest.mark.usefixtures("unchanged")


def broken() -> list[Packet]:
    """Packets of the traced addresses that no honest stack sends, each with an IP ID of its own."""
    whole = UDP(**PORTS) / Raw(b"x" * 32)
    inner = IP(**PAIR, tos=min(POOL_2) << 2) / whole
    shapes: list[tuple[dict[str, object], Packet]] = [
        ({"ttl": 0}, whole),
        ({"ttl": 1}, whole),
        ({"len": 24}, whole),
        ({"len": 2000}, whole),
        ({"options": [IPOption(b"\x83\x07\x04\x0a\x00\x02\x01\x00")]}, whole),
        ({"options": [IPOption(b"\x94\x04\x00\x00")]}, whole),
        ({"frag": 2}, whole),
        ({"frag": 0, "flags": "MF"}, whole),
        ({"chksum": 0x1234}, whole),
        ({"dst": "10.0.1.11"}, whole),
        ({}, UDP(**PORTS, len=4) / Raw(b"short")),
        ({}, UDP(**PORTS, len=60000) / Raw(b"long")),
        ({"proto": 17}, Raw(b"\x0f\xa0\x13\x88")),
        ({"proto": 17}, Raw(b"\x0f")),
        ({"proto": 17}, Raw(b"")),
        ({}, TCP(sport=4000, dport=5000, dataofs=15)),
        ({"proto": 0}, Raw(b"x")),
        ({}, UDP(**PORTS)),
        ({}, UDP(**PORTS, len=0) / Raw(b"none")),
        ({}, GRE() / inner),
        ({}, UDP(sport=4000, dport=4789) / VXLAN(vni=101) / Ether() / inner),
        ({}, inner),
    ]
    return [IP(**{**PAIR, "id": BROKEN + number, **changes}) / body for number, (changes, body) in enumerate(shapes)]


def chained() -> list[Packet]:
    """IPv6 with all kinds of extension headers, each with a flow label of its own; the last two end within one."""
    whole, option = UDP(**PORTS) / Raw(b"x" * 32), IPv6ExtHdrDestOpt()
    bodies: list[tuple[int | None, Packet]] = [
        (None, whole),
        (None, IPv6ExtHdrHopByHop() / option / IPv6ExtHdrRouting() / option / whole),
        (None, reduce(truediv, [option] * 12) / whole),
        (None, IPv6ExtHdrFragment(id=7) / whole),
        (None, IPv6ExtHdrFragment(id=8, m=1) / whole),
        (None, IPv6ExtHdrFragment(id=8, offset=5) / Raw(b"later")),
        (51, Raw(bytes([17, 4]) + bytes(22)) / whole),
        (59, Raw(b"nothing")),
        (None, UDP(**PORTS)),
        (60, Raw(b"\x11")),
        (60, Raw(b"\x11\xff" + bytes(14))),
    ]
    starts = [IPv6(**PAIR6, fl=number, **({"nh": nh} if nh else {})) for number, (nh, _) in enumerate(bodies, 1)]
    return [start / body for start, (_, body) in zip(starts, bodies, strict=True)]


def honest(number: int, tos: int = 0, base: int = HONEST) -> Packet:
    return IP(**PAIR, id=base + number, tos=tos) / UDP(**PORTS) / Raw(bytes([tos]) * 24)


@contextmanager
def hostile(lab: Lab) -> Iterator[None]:
    """The honest tenant's packets, and everybody else's, in turn, until the block ends."""
    odd, tos = cycle(broken()), cycle(dscp << 2 for dscp in range(64))
    web = lab.base.vm("blue-web1")
    disguise = Ether(src=web.mac, dst=lab.base.subnet_of(web).gateway_mac)
    with (
        FrameSender(lab, "blue-web1") as own,
        FrameSender(lab, "blue-web2") as neighbour,
        FrameSender(lab, "red-web1") as stranger,
    ):

        def send(number: int) -> None:
            own.send(honest(number % 0xFFF))
            own.send(next(odd))
            forged = honest(number % 0xFFF, next(tos), SPOOFED)
            neighbour.send_frame(bytes(disguise / forged))
            neighbour.send(forged)
            stranger.send(forged)

        with repeating(send, 0.02):
            yield


def test_every_packet_fares_as_the_trace_says_whatever_is_sent_around_it(lab: Lab, program: Vtrace) -> None:
    """The destination's capture is the judge: what was called delivered is there, what was called dropped is not."""
    watched = captured(lab, "blue-db2"), captured(lab, "red-db2")
    with watched[0] as frames, watched[1] as others, hostile(lab), program.controller() as controller:
        task = program.add("ip,nw_src=10.0.1.11", 80, 20, source_vm="blue-web1")
        result = program.result(task)
        assert controller.poll() is None
    with program.store() as store:
        ways = [way for way in store.trajectories(task) if way.origin is Origin.OBSERVED]
    arrived = {packet[IP].id for packet in map(Ether, frames) if IP in packet and packet[IP].src == PAIR["src"]}
    entered = {(way.hops[0].headers_in.ip_id, way.ending) for way in ways if way.hops[0].headers_in is not None}
    assert len(ways) >= 60
    assert {HONEST, BROKEN} == {ip_id & 0xF000 for ip_id, _ in entered if ip_id is not None}
    for ip_id, ending in entered:
        assert ip_id is not None
        assert ending in SILENT.get(ip_id, {Ending.HANDED_TO_PORT, Ending.DROPPED}), (hex(ip_id), ending)
        if ip_id != BROKEN + 9:  # the one to itself
            assert (ip_id in arrived) == (ending is Ending.HANDED_TO_PORT), (hex(ip_id), ending)
        if ip_id & 0xF000 == HONEST:
            assert ending is Ending.HANDED_TO_PORT
    assert {group.verdict.disposition for group in result.groups} == FATES
    assert not any(group.verdict.code is CauseCode.INTERNAL_ERROR for group in result.groups)
    for frame in (*frames, *others):
        packet = Ether(frame)
        if IP in packet and packet[IP].src == PAIR["src"] and packet[IP].id & 0xF000 in (HONEST, SPOOFED):
            assert packet[IP].tos == bytes(packet[UDP].payload)[0], "nobody else's DSCP is touched"
    assert not any(ip_id & 0xF000 == SPOOFED for ip_id in arrived)


def test_all_code_points_in_the_traced_traffic_neither_blind_the_trace_nor_make_it_lie(
    lab: Lab, program: Vtrace
) -> None:
    """The honest packets are judged right; those that carry a mark of ours may lose it until it is given back."""
    tos = cycle(dscp << 2 for dscp in range(1, 64))
    with captured(lab, "blue-db2") as frames, FrameSender(lab, "blue-web1") as own:

        def send(number: int) -> None:
            own.send(honest(number % 0xFFF))
            own.send(honest(number % 0xFFF, next(tos), FORGED))

        with repeating(send, 0.02), program.controller() as controller:
            result = program.result(program.add(TRAFFIC, 60, 15, source_vm="blue-web1"))
            assert controller.poll() is None
    assert result.verdict.disposition is Disposition.DELIVERED
    assert {group.verdict.disposition for group in result.groups} == {Disposition.DELIVERED}
    assert any("code point" in note for note in result.notes)
    received = [Ether(frame)[IP] for frame in frames if IP in Ether(frame) and Ether(frame)[IP].src == PAIR["src"]]
    honest_ones = [packet for packet in received if packet.id & 0xF000 == HONEST]
    assert honest_ones
    assert {packet.tos for packet in honest_ones} == {0}
    forged = [packet for packet in received if packet.id & 0xF000 == FORGED]
    altered = {(bytes(packet[UDP].payload)[0] >> 2, packet.tos >> 2) for packet in forged}
    altered = {(sent, got) for sent, got in altered if sent != got}
    assert {sent for sent, _ in altered} <= set(POOL_2), altered
    lost = f"what loses a code point of ours gets the DSCP of a series: {sorted(altered)}"
    assert len({got for _, got in altered}) <= SERIES, lost


def test_no_forged_mark_becomes_another_one_on_its_way_while_servers_stall(lab: Lab, program: Vtrace) -> None:
    """Whatever comes between two changes of the flows, and between the flows and the packets on their way."""
    codes = POOL_2[0], POOL_2[1]
    packets = [honest(number) for number in range(64)]
    packets[::2] = [honest(number, code << 2, FORGED) for number, code in zip(range(32), cycle(codes), strict=False)]
    with stalling([lab.ovs(node).pids["ovs-vswitchd"] for node in ("gw1", "cs3")]):
        for _ in range(3):  # a code point is given back for good, so each time is the first of a controller
            with (
                captured(lab, "blue-db2") as frames,
                blasting(lab, "blue-web1", 500, packets),
                program.controller() as controller,
            ):
                task = program.add(TRAFFIC, 60, 10, source_vm="blue-web1")
                result = program.result(task, PATIENCE)
                assert controller.poll() is None
            came = [packet for packet in map(Ether, frames) if IP in packet and packet[IP].src == PAIR["src"]]
            fates = Counter((bytes(packet[UDP].payload)[0] >> 2, packet[IP].tos >> 2) for packet in came)
            assert fates.keys() >= {(0, 0), *((code, code) for code in codes)}
            assert fates.keys() <= {(0, 0), *((code, dscp) for code in codes for dscp in (code, 0))}, fates
            assert CauseCode.INTERNAL_ERROR not in {group.verdict.code for group in result.groups}


@contextmanager
def stalling(pids: Sequence[int]) -> Iterator[None]:
    """Now one of these processes stands still for a moment, now another, until the block ends."""
    whose, lengths = cycle(pids), cycle((0.03, 0.25, 0.1, 0.02, 0.17))

    def stall(_: int) -> None:
        pid = next(whose)
        os.kill(pid, signal.SIGSTOP)
        try:
            threading.Event().wait(next(lengths))
        finally:
            os.kill(pid, signal.SIGCONT)

    with repeating(stall, 0.03):
        yield


def test_headers_before_the_upper_protocol_neither_hide_a_packet_nor_make_a_loss_of_it(
    lab: Lab, program: Vtrace
) -> None:
    packets = chained()
    shapes = cycle(packets)
    with (
        captured(lab, "blue-db2") as frames,
        FrameSender(lab, "blue-web1") as own,
        repeating(lambda _: own.send(next(shapes)), 0.01),
        program.controller() as controller,
    ):
        task = program.add(f"ipv6,ipv6_src={PAIR6['src']}", 60, 15, source_vm="blue-web1")
        result = program.result(task)
        assert controller.poll() is None
    with program.store() as store:
        ways = [way for way in store.trajectories(task) if way.origin is Origin.OBSERVED]
    arrived = {Ether(frame)[IPv6].fl for frame in frames if IPv6 in Ether(frame)}
    entered = {(way.hops[0].headers_in.flow_label, way.ending) for way in ways if way.hops[0].headers_in is not None}
    assert {label for label, _ in entered} == {packet.fl for packet in packets}
    for label, ending in entered:
        if label in {packet.fl for packet in packets[-2:]}:
            assert ending is Ending.ON_WIRE, "Open vSwitch takes its protocol for 0"
        else:
            assert ending is (Ending.HANDED_TO_PORT if label in arrived else Ending.DROPPED), label
    assert {group.verdict.disposition for group in result.groups} == FATES


def test_twins_with_another_fate_are_not_taken_for_each_other(lab: Lab, program: Vtrace) -> None:
    """Equal in everything that survives a way: one arrives, one dies of its TTL, one of its port, from another VM."""
    twin = {"id": HONEST, "dst": PAIR["dst"]}
    dying, denied = {**twin, "src": PAIR["src"], "ttl": 1}, {**twin, "src": "10.0.1.12"}
    with (
        captured(lab, "blue-db2") as frames,
        FrameSender(lab, "blue-web1") as own,
        FrameSender(lab, "blue-web2") as other,
    ):

        def send(_: int) -> None:
            own.send(IP(**dying) / UDP(**PORTS) / b"twin")
            other.send(IP(**denied) / UDP(sport=4000, dport=5001) / b"twin")
            own.send(IP(**{**dying, "ttl": 64}) / UDP(**PORTS) / b"twin")

        with repeating(send, 0.03), program.controller() as controller:
            task = program.add(f"udp,nw_dst={PAIR['dst']}", 60, 15, vni=101)
            result = program.result(task)
            assert controller.poll() is None
    with program.store() as store:
        ways = [way for way in store.trajectories(task) if way.origin is Origin.OBSERVED]
    assert {Ether(frame)[IP].ttl for frame in frames if IP in Ether(frame) and Ether(frame)[IP].id == HONEST} == {63}
    fates = {(str(came.five_tuple), came.ttl, way.ending) for way in ways if (came := way.hops[0].headers_in)}
    assert len({(five_tuple, ttl) for five_tuple, ttl, _ in fates}) == len(fates) == 3, fates
    codes = {group.verdict.code for group in result.groups}
    assert codes == {CauseCode.NONE, CauseCode.TTL_EXPIRED, CauseCode.SECURITY_DEFAULT_DENY}
