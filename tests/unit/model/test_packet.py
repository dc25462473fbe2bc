from ipaddress import IPv4Address

from vtrace_ovs.model.packet import FiveTuple

TCP = FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address("10.0.1.5"), 1000, 443)


def test_the_reply_has_both_ends_exchanged() -> None:
    assert TCP.reversed() == FiveTuple(6, IPv4Address("10.0.1.5"), IPv4Address("10.0.0.1"), 443, 1000)
    assert TCP.reversed().reversed() == TCP
