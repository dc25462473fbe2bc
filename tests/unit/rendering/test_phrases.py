from ipaddress import IPv4Address

import pytest

from vtrace_ovs.model.packet import IPAddress, Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition, Verdict
from vtrace_ovs.rendering.phrases import (
    cause_phrase,
    confidence_phrase,
    mark,
    packets_phrase,
    place_phrase,
    port_phrase,
    tunnel_phrase,
)

ONE = IPv4Address("10.0.0.1")
TWO = IPv4Address("10.0.1.5")
BRIDGE = BridgeId("server1", "br-int")


@pytest.mark.parametrize(
    ("destination", "phrase"), [(IPv4Address("192.0.2.2"), "VNI 5001 to 192.0.2.2"), (None, "VNI 5001")]
)
def test_a_tunnel_names_its_far_end_where_known(destination: IPAddress | None, phrase: str) -> None:
    tunnel = Tunnel(5001, IPv4Address("192.0.2.1"), destination)
    assert tunnel_phrase(tunnel, leaving=True) == phrase
    assert tunnel_phrase(tunnel, leaving=False) == "VNI 5001 from 192.0.2.1"


def test_reserved_ports_have_names() -> None:
    assert [port_phrase(3), port_phrase(0xFFFFFFFA)] == ["port 3", "port NORMAL"]


def test_packets_are_counted_in_english() -> None:
    assert [packets_phrase(count) for count in (0, 1, 2)] == ["0 packets", "1 packet", "2 packets"]


def test_every_confidence_has_words_and_every_disposition_a_mark() -> None:
    assert all(confidence_phrase(confidence) for confidence in Confidence)
    marks = {disposition: mark(disposition).text for disposition in Disposition}
    assert {disposition for disposition, sign in marks.items() if sign == "✓"} == {
        Disposition.DELIVERED,
        Disposition.EXITED,
    }
    assert {disposition for disposition, sign in marks.items() if sign == "✗"} == {
        disposition for disposition in Disposition if disposition.is_loss
    }


@pytest.mark.parametrize(
    ("culprit", "phrase"),
    [
        (Culprit("server1"), "server1"),
        (Culprit("server1", BRIDGE), "server1/br-int"),
        (Culprit("server1", BRIDGE, 40), "server1/br-int, table 40"),
        (Culprit("server1", BRIDGE, 40, "acl"), "server1/br-int, table 40 (acl)"),
        (Culprit("server1", BRIDGE, next_node="server2"), "between server1/br-int and server2"),
    ],
)
def test_a_place_is_as_exact_as_is_known(culprit: Culprit, phrase: str) -> None:
    assert place_phrase(culprit) == phrase


def test_no_cause_has_no_phrase() -> None:
    verdict = Verdict(Disposition.DELIVERED, CauseCategory.NONE, CauseCode.NONE, Confidence.OBSERVED, "", "")
    assert not cause_phrase(verdict)
