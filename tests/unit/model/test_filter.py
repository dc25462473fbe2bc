from ipaddress import IPv4Network

import pytest

from vtrace_ovs.model.filter import Filter

TCP = Filter("there", 6, IPv4Network("10.0.0.1/32"), IPv4Network("10.0.1.0/24"), 1000, 443)


def test_the_reply_direction_has_both_ends_exchanged() -> None:
    other_way = TCP.reversed("back")
    assert other_way == Filter("back", 6, IPv4Network("10.0.1.0/24"), IPv4Network("10.0.0.1/32"), 443, 1000)
    assert other_way.reversed("there") == TCP


@pytest.mark.parametrize(("asked", "answered"), [(8, 0), (128, 129), (3, None), (None, None)])
def test_only_an_echo_is_known_to_be_answered_by_one_type(asked: int | None, answered: int | None) -> None:
    assert Filter("icmp", 1, icmp_type=asked, icmp_code=0).reversed("back") == Filter("back", 1, icmp_type=answered)
