from ipaddress import ip_address

import pytest

from vtrace_ovs.model.nat_target import NatTarget, nat_target


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1:80", "192.0.2.1", 80),
        ("192.0.2.1:80,persistent,hash", "192.0.2.1", 80),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]:80,random", "2001:db8::1", 80),
    ],
)
def test_one_address_leaves_no_choice(text: str, address: str, port: int | None) -> None:
    assert nat_target(text) == NatTarget(ip_address(address), port)


@pytest.mark.parametrize("text", ["", "192.0.2.1-192.0.2.9", "192.0.2.1:80-90", "999.0.2.1", "what"])
def test_a_range_is_no_target(text: str) -> None:
    assert nat_target(text) is None
