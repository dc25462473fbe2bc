import pytest

from vtrace_ovs.model.oxm import SubField, field, sized
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.state import PacketState, canonical_port

REG0 = SubField(field("reg0"), 0, 32)
REG1 = SubField(field("reg1"), 0, 32)


def ip(**fields: int) -> PacketState:
    values = {"eth_type": 0x0800, "ip_proto": 6, **fields}
    return PacketState(sum(layout.placed(name, value) for name, value in values.items()))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(1, 1), (0xFFFE, 0xFFFFFFFE), (0xFFFFFFFE, 0xFFFFFFFE), (0xFFFF0000, 0), (0xFF00, 0xFFFFFF00), (0xFEFF, 0xFEFF)],
)
def test_reserved_ports_have_one_spelling(given: int, wanted: int) -> None:
    assert canonical_port(given) == wanted


def test_unknown_bits_travel_with_a_move_and_end_with_a_write() -> None:
    state = PacketState(0, layout.bits_of("reg0"))
    state.move(REG0, REG1)
    assert state.read(REG1) == (0, 0xFFFFFFFF)
    state.set_masked(field("reg1"), 5, 0xF)
    assert state.read(REG1) == (5, 0xFFFFFFF0)


def test_what_is_not_tracked_is_read_as_unknown() -> None:
    state = PacketState(0)
    state.push(SubField(field("tun_metadata1"), 0, 8))
    state.pop(REG0)
    assert state.read(REG0)[1] & 0xFF == 0xFF


def test_a_write_to_a_header_the_packet_lacks_is_ignored() -> None:
    state = ip(ip_proto=17, tcp_dst=5)
    state.set_masked(field("tcp_dst"), 9, 0xFFFF)
    state.set_masked(field("udp_dst"), 7, 0xFFFF)
    assert layout.read(state.packed, "tcp_dst") == 7
    state.set_masked(field("vlan_pcp"), 3, 7)
    state.set_masked(field("vlan_tci"), 3 << 13, 7 << 13)
    assert layout.read(state.packed, "vlan_tci") == 0


def test_later_fragments_have_no_transport_header_and_no_fragment_shows_ports() -> None:
    state = ip(ip_frag=3, tcp_dst=0)
    state.set_masked(field("tcp_dst"), 9, 0xFFFF)
    assert layout.read(state.packed, "tcp_dst") == 0
    first = ip(ip_frag=1, tcp_dst=80)
    assert layout.read(first.lookup_key(), "tcp_dst") == 0
    assert layout.read(first.packed, "tcp_dst") == 80


def test_nw_tos_writes_leave_ecn_alone() -> None:
    state = ip(ip_ecn=3)
    state.set_masked(field("nw_tos"), 0xFF, 0xFF)
    assert (layout.read(state.packed, "ip_dscp"), layout.read(state.packed, "ip_ecn")) == (63, 3)


def test_vlan_tags_nest() -> None:
    state = ip(vlan_tci=0x1005)
    state.push_vlan()
    assert layout.read(state.packed, "vlan_tci") == 0x1000
    state.pop_vlan()
    assert layout.read(state.packed, "vlan_tci") == 0x1005
    state.pop_vlan()
    state.pop_vlan()
    assert layout.read(state.packed, "vlan_tci") == 0


def test_ttl_is_decremented_to_one_and_no_further() -> None:
    state = ip(nw_ttl=2)
    assert state.decrement_ttl()
    assert not state.decrement_ttl()
    assert layout.read(state.packed, "nw_ttl") == 1
    assert PacketState(layout.placed("eth_type", 0x0806)).decrement_ttl()


def test_a_patch_clears_registers_tunnel_and_connection_but_not_the_packet_mark() -> None:
    state = ip(reg3=1, metadata=2, tun_id=3, ct_state=0x20, pkt_mark=9, in_port=1)
    state.cross_patch(65534)
    left = ("reg3", "metadata", "tun_id", "ct_state", "pkt_mark", "in_port")
    assert [layout.read(state.packed, name) for name in left] == [0, 0, 0, 0, 9, 0xFFFFFFFE]


def test_the_ingress_port_can_be_rewritten_and_replaced_for_one_search() -> None:
    state = ip(in_port=0xFFFFFFFE)
    state.set_masked(field("in_port"), 0, 0xFFFF)
    assert state.in_port == 0
    assert layout.read(state.lookup_key(7), "in_port") == 7
    assert state.in_port == 0


def test_an_empty_stack_is_left_alone() -> None:
    state = ip(reg0=4)
    state.pop(REG0)
    assert state.read(REG0) == (4, 0)


def test_a_tunnel_option_is_written_as_far_as_it_is_tracked() -> None:
    option = field("tun_metadata0")
    state = ip(conj_id=1)
    state.set_masked(sized(option, 8), 5 << 32 | 3, 2**64 - 1)
    state.write(SubField(option, 16, 15), 9)
    assert layout.read(state.packed, "tun_metadata0") == 9 << 16 | 3
    assert not state.packed & layout.UNMODELLED
