from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.neighbours import announced, stack_labels
from vtrace_ovs.walker.state import PacketState

MACS = ("00:00:00:00:00:01", "00:00:00:00:00:02")
WHO_HAS = bytes.fromhex("0001080006040001 000000000001 0a000001 000000000000 0a000002")
TARGET = IPv6Address("fe80::2")
SOLICITATION = bytes(4) + TARGET.packed + bytes.fromhex("0101000000000001")


def icmpv6(payload: bytes, code: int = 0) -> Headers:
    tuple_ = FiveTuple(58, IPv6Address("fe80::1"), TARGET)
    return Headers(*MACS, 0x86DD, 86, five_tuple=tuple_, icmp_type=135, icmp_code=code, payload=payload)


def test_an_arp_body_gives_its_five_fields() -> None:
    packed, unknown = announced(Headers(*MACS, 0x0806, 60, payload=WHO_HAS + bytes(18)))
    found = [layout.read(packed, name) for name in ("arp_op", "arp_sha", "arp_spa", "arp_tha", "arp_tpa")]
    assert found == [1, 1, int(IPv4Address("10.0.0.1")), 0, int(IPv4Address("10.0.0.2"))]
    assert not unknown


def test_an_arp_body_that_was_cut_off_is_unknown_and_one_for_other_addresses_is_empty() -> None:
    packed, unknown = announced(Headers(*MACS, 0x0806, 60, payload=WHO_HAS[:27]))
    assert (packed, unknown & layout.bits_of("arp_tpa")) == (0, layout.bits_of("arp_tpa"))
    assert announced(Headers(*MACS, 0x0806, 60, payload=b"\0\6" + WHO_HAS[2:])) == (0, 0)


def test_a_neighbour_solicitation_gives_its_target_and_the_link_address_of_its_sender() -> None:
    packed, unknown = announced(icmpv6(SOLICITATION))
    assert (layout.read(packed, "nd_target"), layout.read(packed, "nd_sll")) == (int(TARGET), 1)
    assert not unknown
    assert announced(icmpv6(SOLICITATION, code=1)) == (0, 0)


def test_what_a_capture_lacks_of_a_solicitation_is_unknown() -> None:
    assert announced(icmpv6(b""))[1] & layout.bits_of("nd_target")
    packed, unknown = announced(icmpv6(SOLICITATION[:-1]))
    assert layout.read(packed, "nd_target") == int(TARGET)
    assert unknown == layout.bits_of("nd_sll", "nd_tll")


def test_a_link_address_given_twice_makes_a_solicitation_show_nothing() -> None:
    assert announced(icmpv6(SOLICITATION + SOLICITATION[-8:])) == (0, 0)
    packed, unknown = announced(icmpv6(SOLICITATION + bytes.fromhex("0201000000000007")))
    assert ([layout.read(packed, name) for name in ("nd_sll", "nd_tll")], unknown) == ([1, 7], 0)


def test_an_option_without_length_ends_the_options() -> None:
    packed, unknown = announced(icmpv6(SOLICITATION + bytes.fromhex("0200000000000007")))
    assert ([layout.read(packed, name) for name in ("nd_sll", "nd_tll")], unknown) == ([1, 0], 0)


def test_labels_are_read_down_to_the_bottom() -> None:
    state = PacketState(0)
    stack_labels(state, Headers(*MACS, 0x8847, 60, payload=bytes.fromhex("00005040 00006180 45000000")))
    names = ("mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl")
    assert [layout.read(state.packed, name) for name in names] == [5, 0, 0, 64]
    assert [layout.read(state.labels[0], name) for name in names] == [6, 0, 1, 128]
    cut = PacketState(0)
    stack_labels(cut, Headers(*MACS, 0x8847, 60))
    assert cut.unknown & layout.bits_of("mpls_label")
