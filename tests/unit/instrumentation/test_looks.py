import pytest

from vtrace_ovs.instrumentation.looks import NOTHING_KNOWN, Look
from vtrace_ovs.model import oxm
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import SubField, field

ONE, TWO = oxm.REGISTERS[0], oxm.REGISTERS[1]
WIDE = field("xreg0")


def exact(entry: oxm.Field, value: int) -> MaskedField:
    return MaskedField(entry, value, entry.full_mask)


def test_packets_fit_what_their_known_bits_do_not_contradict() -> None:
    look = Look.of(MaskedField(ONE, 0xA0, 0xF0))
    assert look.fits(Match.of(exact(ONE, 0xA5)))
    assert not look.fits(Match.of(exact(ONE, 0xB5)))
    assert look.fits(Match.of(exact(TWO, 1)))
    assert look.surely_fits(Match.of(MaskedField(ONE, 0x80, 0xC0)))
    assert not look.surely_fits(Match.of(exact(ONE, 0xA0)))
    assert look.surely_fits(Match())


def test_what_matched_is_known_from_then_on() -> None:
    look = Look.of(MaskedField(ONE, 0xA0, 0xF0)).narrowed(Match.of(MaskedField(ONE, 0x5, 0xF), exact(TWO, 7)))
    assert look.bits[ONE] == MaskedField(ONE, 0xA5, 0xFF)
    assert look.whole(TWO) == 7
    assert look.whole(ONE) is None


def test_what_is_written_replaces_what_was_known() -> None:
    look = Look.of(exact(ONE, 0xFFFFFFFF)).written(ONE, 0x0, 0xFF)
    assert look.whole(ONE) == 0xFFFFFF00
    assert NOTHING_KNOWN.written(ONE, 3, 0xF).bits[ONE] == MaskedField(ONE, 3, 0xF)


def test_wide_registers_are_their_parts() -> None:
    look = NOTHING_KNOWN.written(WIDE, 1 << 32 | 2, WIDE.full_mask)
    assert (look.whole(ONE), look.whole(TWO)) == (1, 2)
    assert not look.fits(Match.of(exact(WIDE, 5)).taken_apart())


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (exact(ONE, 0xABCD), MaskedField(TWO, 0xCD00, 0xFF00)),
        (MaskedField(ONE, 0xC0, 0xF0), MaskedField(TWO, 0xC000, 0xF000)),
    ],
    ids=["whole", "part"],
)
def test_copies_are_known_as_far_as_the_source_is(known: MaskedField, expected: MaskedField) -> None:
    look = Look.of(known).copied(SubField(ONE, 0, 8), SubField(TWO, 8, 8))
    assert look.bits[TWO] == expected


def test_copies_of_what_is_not_known_are_not_known() -> None:
    look = Look.of(exact(TWO, 0xFFFF)).copied(SubField(ONE, 0, 8), SubField(TWO, 8, 8))
    assert look.bits[TWO] == MaskedField(TWO, 0xFF, 0xFFFF00FF)
    assert look.part(SubField(TWO, 8, 8)) == (0, 0)
    assert look.part(SubField(WIDE, 0, 8)) == (0, 0)


def test_fields_are_forgotten_or_kept_by_name() -> None:
    look = Look.of(exact(ONE, 1), exact(TWO, 2))
    assert look.without({ONE}) == look.only({TWO}) == Look.of(exact(TWO, 2))
    assert look.without({oxm.IN_PORT}) is look


def test_a_look_that_knows_less_covers_one_that_knows_the_same_and_more() -> None:
    wide, narrow = Look.of(MaskedField(ONE, 0xA0, 0xF0)), Look.of(exact(ONE, 0xA5))
    assert wide.covers(narrow)
    assert not narrow.covers(wide)
    assert not Look.of(MaskedField(ONE, 0xB0, 0xF0)).covers(narrow)
    assert NOTHING_KNOWN.covers(wide)


def test_of_two_looks_what_both_know_is_known() -> None:
    one, other = Look.of(exact(ONE, 1), exact(TWO, 2)), Look.of(exact(ONE, 3), MaskedField(TWO, 2, 0xF))
    joined = one.joined(other)
    assert joined == Look.of(MaskedField(TWO, 2, 0xF))
    assert joined.covers(one)
    assert joined.covers(other)
