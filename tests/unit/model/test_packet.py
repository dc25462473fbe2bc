from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.model.packet import FiveTuple

TCP = FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address("10.0.1.5"), 1000, 443)
ONE, TWO = IPv4Address("10.0.0.1"), IPv4Address("10.0.1.5")


@pytest.mark.parametrize(
    ("five_tuple", "phrase"),
    [
        (FiveTuple(6, ONE, TWO, 1000, 443), "tcp 10.0.0.1:1000 → 10.0.1.5:443"),
        (FiveTuple(1, ONE, TWO), "icmp 10.0.0.1 → 10.0.1.5"),
        (FiveTuple(47, ONE, TWO), "ip protocol 47 10.0.0.1 → 10.0.1.5"),
        (FiveTuple(17, IPv6Address("fe80::1"), IPv6Address("fe80::2"), 1, 2), "udp [fe80::1]:1 → [fe80::2]:2"),
    ],
)
def test_a_five_tuple_reads_from_source_to_destination(five_tuple: FiveTuple, phrase: str) -> None:
    assert str(five_tuple) == phrase


def test_the_reply_has_both_ends_exchanged() -> None:
    assert TCP.reversed() == FiveTuple(6, IPv4Address("10.0.1.5"), IPv4Address("10.0.0.1"), 443, 1000)
    assert TCP.reversed().reversed() == TCP
