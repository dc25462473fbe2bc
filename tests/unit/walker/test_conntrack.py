import pytest

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


@pytest.mark.parametrize(
    ("nested", "state", "supported"),
    [
        (Nat(source=False, destination=False), NEW, True),
        (Nat(source=False, destination=False), ESTABLISHED, False),
        (Nat(source=True, destination=False, range_text="10.0.0.9"), NEW, False),
        (DecTtl(), NEW, False),
    ],
)
def test_translation_is_only_predicted_where_nothing_can_be_translated(
    nested: Action, state: int, supported: bool
) -> None:
    assert isinstance(track(PacketState(0), ct(nested), state), Unsupported) is not supported
