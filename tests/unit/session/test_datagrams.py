from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import FiveTuple, Fragment, Headers, IpFamily
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.datagrams import MOST_WAITING, Datagrams, needs_joining
from vtrace_ovs.trajectories.identity import packet_id

WEB, DB = IPv4Address("10.0.1.11"), IPv4Address("10.0.2.22")
TRAFFIC = Filter("udp,tp_dst=53", protocol=17, destination_port=53)


def fragment(kind: Fragment, *, ip_id: int = 7, port: int = 53, offset: int = 0) -> Headers:
    ports = (4000, port) if kind is Fragment.FIRST else (None, None)
    five_tuple = FiveTuple(17, WEB, DB, *ports)
    link = ("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, 1434)
    return Headers(*link, five_tuple=five_tuple, ip_id=ip_id, fragment=kind, fragment_offset=offset)


FIRST, LATER, LAST = (
    fragment(Fragment.FIRST),
    fragment(Fragment.LATER, offset=178),
    fragment(Fragment.LATER, offset=356),
)


def copy(headers: Headers, at: float = 0.0, hop: int = 1, loc: Loc = Loc.IN) -> PacketInRecord:
    here = BridgeId(f"cs{hop}", "br-int")
    return PacketInRecord(0, 1, here, None, loc, packet_id(headers), headers.five_tuple, headers, hop, 1, at)


@pytest.fixture
def datagrams() -> Datagrams:
    return Datagrams(TRAFFIC)


def test_only_fragments_of_a_filter_with_ports_need_joining() -> None:
    whole = replace(FIRST, fragment=Fragment.NO)
    assert needs_joining(TRAFFIC, FIRST)
    assert not needs_joining(TRAFFIC, whole)
    assert not needs_joining(Filter("udp", protocol=17), LATER)
    assert needs_joining(Filter("udp6", protocol=17, family=IpFamily.IPV6), LATER), "those of IPv6 are of protocol 44"
    assert not needs_joining(Filter("ipv6,nw_proto=44", protocol=44, family=IpFamily.IPV6), LATER)


def test_later_fragments_are_those_of_a_first_one_with_the_right_ports(datagrams: Datagrams) -> None:
    assert datagrams.admit(copy(FIRST)) == (copy(FIRST),)
    assert datagrams.admit(copy(LATER)) == (copy(LATER),)
    assert datagrams.note is None


def test_fragments_that_overtake_the_first_one_wait_for_it(datagrams: Datagrams) -> None:
    early = [copy(LATER, 1.0), copy(LATER, 1.5, hop=2), copy(LAST, 2.0)]
    assert [datagrams.admit(one) for one in early] == [(), (), ()]
    assert datagrams.admit(copy(FIRST, 3.0)) == (*early, copy(FIRST, 3.0))


def test_fragments_of_other_ports_or_other_datagrams_are_left_out(datagrams: Datagrams) -> None:
    other = fragment(Fragment.FIRST, ip_id=8, port=99)
    later_of_other = fragment(Fragment.LATER, ip_id=8, offset=178)
    assert datagrams.admit(copy(later_of_other)) == ()
    assert datagrams.admit(copy(other)) == ()
    assert datagrams.admit(copy(later_of_other, hop=2, loc=Loc.OUT)) == ()
    assert datagrams.note is None, "it is known whose they are"


def test_fragments_whose_first_is_never_seen_are_counted_and_bounded(datagrams: Datagrams) -> None:
    for number in range(MOST_WAITING + 8):
        assert datagrams.admit(copy(fragment(Fragment.LATER, ip_id=number, offset=178), float(number))) == ()
    assert len(datagrams.waiting) == MOST_WAITING
    assert datagrams.note is not None
    assert datagrams.note.startswith(f"{MOST_WAITING + 8} copies of fragments")


def test_equal_later_fragments_differ_by_their_offset() -> None:
    assert packet_id(LATER) != packet_id(LAST)
