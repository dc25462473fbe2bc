import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.neighbour_questions import arp_question, solicitation
from vtrace_ovs.model.packet import NeighbourQuestion

MAC = bytes.fromhex("020000000001")
ASKER, TARGET = IPv4Address("10.0.1.11"), IPv4Address("10.0.1.1")
HOST, NEIGHBOUR, NOBODY = IPv6Address("fd00::11"), IPv6Address("fd00::1"), IPv6Address(0)


def arp(operation: int = 1, asker: IPv4Address = ASKER, hardware: int = 1) -> bytes:
    kind = struct.pack("!HHBBH", hardware, 0x0800, 6, 4, operation)
    return kind + MAC + asker.packed + bytes(6) + TARGET.packed


def icmpv6(kind: int = 135, code: int = 0, target: IPv6Address = NEIGHBOUR) -> bytes:
    return bytes((kind, code)) + bytes(6) + target.packed


def test_an_arp_request_asks_for_its_target() -> None:
    assert arp_question(arp()) == NeighbourQuestion(TARGET, ASKER)
    assert arp_question(arp() + bytes(18)) == NeighbourQuestion(TARGET, ASKER), "with Ethernet padding"


@pytest.mark.parametrize(
    "body",
    [arp(operation=2), arp(asker=IPv4Address(0)), arp(asker=TARGET), arp(hardware=6), arp()[:-1]],
    ids=["an answer", "a probe", "an announcement", "another hardware", "truncated"],
)
def test_other_arp_asks_for_nobody(body: bytes) -> None:
    assert arp_question(body) is None


def test_a_neighbour_solicitation_asks_for_its_target() -> None:
    assert solicitation(HOST, icmpv6()) == NeighbourQuestion(NEIGHBOUR, HOST)


@pytest.mark.parametrize(
    ("source", "body"),
    [(HOST, icmpv6(kind=136)), (HOST, icmpv6(code=1)), (NOBODY, icmpv6()), (HOST, icmpv6()[:-1])],
    ids=["an answer", "another code", "duplicate address detection", "truncated"],
)
def test_other_icmpv6_asks_for_nobody(source: IPv6Address, body: bytes) -> None:
    assert solicitation(source, body) is None


@given(st.binary(max_size=80))
def test_no_bytes_can_make_it_raise(body: bytes) -> None:
    assert arp_question(body) is None or len(body) >= len(arp())
    assert solicitation(HOST, body) is None or len(body) >= len(icmpv6())
