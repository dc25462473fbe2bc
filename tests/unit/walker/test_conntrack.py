from vtrace_ovs.model.actions import Action, Conntrack, DecTtl, Nat, SetField
from vtrace_ovs.model.oxm import SubField, field
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.conntrack import track
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.undecided import Unknown, Unsupported

NEW, ESTABLISHED = 0x21, 0x22
MARK = SetField(field("ct_mark"), 9, 0xFFFFFFFF)


def ct(*nested: Action, table: int | None = 4, zone: int | SubField = 7) -> Conntrack:
    return Conntrack(True, False, zone, table, nested)


def test_a_new_connection_recirculates_with_state_zone_and_mark_while_the_packet_goes_on_untracked() -> None:
    state = PacketState(layout.placed("reg1", 5) | layout.placed("ct_state", NEW))
    again = track(state, ct(MARK), NEW)
    assert isinstance(again, PacketState)
    assert [layout.read(again.packed, name) for name in ("ct_state", "ct_zone", "ct_mark", "reg1")] == [NEW, 7, 9, 5]
    assert not again.unknown & layout.bits_of("ct_mark", "ct_label")
    assert layout.read(state.packed, "ct_state") == 0
    assert layout.read(state.packed, "reg1") == 5


def test_of_an_established_connection_mark_and_label_are_unknown_unless_just_written() -> None:
    plain = track(PacketState(0), ct(), ESTABLISHED)
    marked = track(PacketState(0), ct(MARK), ESTABLISHED)
    assert isinstance(plain, PacketState)
    assert isinstance(marked, PacketState)
    assert plain.unknown & layout.bits_of("ct_mark")
    assert not marked.unknown & layout.bits_of("ct_mark")
    assert marked.unknown & layout.bits_of("ct_label")


def test_without_a_logged_state_nothing_recirculates_on_a_guess() -> None:
    assert isinstance(track(PacketState(0), ct(), None), Unknown)
    assert track(PacketState(0), ct(table=None), None) is None


def test_a_zone_from_an_unknown_register_is_unknown() -> None:
    zone = SubField(field("reg2"), 0, 16)
    assert isinstance(track(PacketState(0, layout.bits_of("reg2")), ct(zone=zone), NEW), Unknown)
    again = track(PacketState(layout.placed("reg2", 3)), ct(zone=zone), NEW)
    assert isinstance(again, PacketState)
    assert layout.read(again.packed, "ct_zone") == 3


def test_only_edits_and_translations_are_known_inside_ct() -> None:
    assert isinstance(track(PacketState(0), ct(DecTtl()), NEW), Unsupported)


def tcp(**values: int) -> PacketState:
    values = {"eth_type": 0x0800, "ip_proto": 6, **values}
    return PacketState(sum(layout.placed(name, value) for name, value in values.items()))


def test_the_copy_of_a_new_connection_is_translated_and_says_so_while_the_packet_itself_is_not() -> None:
    state = tcp(ipv4_dst=9, tcp_dst=80, tcp_src=1000)
    again = track(state, ct(Nat(source=False, destination=True, range_text="10.0.2.1:8080")), NEW)
    assert isinstance(again, PacketState)
    names = ("ipv4_dst", "tcp_dst", "tcp_src", "ct_state")
    assert [layout.read(again.packed, name) for name in names] == [0x0A000201, 8080, 1000, NEW | 0x80]
    assert [layout.read(state.packed, name) for name in names] == [9, 80, 1000, 0]


def test_a_translation_without_recirculation_is_not_followed() -> None:
    source = Nat(source=True, destination=False, range_text="172.16.0.1")
    assert isinstance(track(tcp(), ct(source, table=None), NEW), Unknown)
    assert track(tcp(), ct(Nat(source=True, destination=False), table=None), NEW) is None


def test_the_mark_of_an_older_connection_is_what_the_caller_says_and_a_new_one_has_none() -> None:
    older, fresh = track(tcp(), ct(), ESTABLISHED, 5), track(tcp(), ct(), NEW, 5)
    assert isinstance(older, PacketState)
    assert isinstance(fresh, PacketState)
    assert (layout.read(older.packed, "ct_mark"), layout.read(fresh.packed, "ct_mark")) == (5, 0)
    assert not older.unknown & layout.bits_of("ct_mark")
    assert older.unknown & layout.bits_of("ct_label")
