import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.instrumentation import state
from vtrace_ovs.instrumentation.state import State, StateField
from vtrace_ovs.model.oxm import IP_DSCP, PKT_MARK, REGISTERS
from vtrace_ovs.model.task import MOST_TASKS

RANGES = (
    state.GUARD,
    state.TRACED,
    state.MARKED,
    state.INDEX,
    state.COLOR,
    state.CODE,
    state.DSCP,
    state.SLOT,
    state.ALTERED,
)
STATES = st.builds(
    State,
    traced=st.booleans(),
    marked=st.booleans(),
    index=st.integers(0, 15),
    color=st.integers(0, 1),
    code=st.integers(0, 63),
    dscp=st.integers(0, 63),
    slot=st.integers(0, MOST_TASKS - 1),
)


def test_no_two_ranges_share_a_bit_and_all_fit_into_32() -> None:
    assert sum(bits.mask for bits in RANGES) == state.ALL
    assert sum(bits.width for bits in RANGES) == state.ALL.bit_count()
    assert state.ALL < 1 << 32


@given(STATES)
def test_every_state_survives_the_field(original: State) -> None:
    assert State.of(original.word) == original


def test_an_untouched_packet_has_no_state() -> None:
    assert State.of(0) is None


def test_loads_write_the_whole_state_and_nothing_else() -> None:
    load = StateField(REGISTERS[15]).load(State(traced=True, slot=511))
    assert load.mask == state.ALL
    assert load.value & ~state.ALL == 0


def test_adopting_a_packet_keeps_hop_code_dscp_and_color() -> None:
    arrived = State(index=2, code=7, dscp=10, color=1)
    adopt = StateField(REGISTERS[15]).adopt(9)
    word = arrived.word & ~adopt.mask | adopt.value
    assert State.of(word) == State(traced=True, index=2, code=7, dscp=10, slot=9, color=1)


@pytest.mark.parametrize("field", [StateField(REGISTERS[15]), StateField(PKT_MARK)])
def test_traced_packets_are_told_apart_by_color_where_that_is_asked(field: StateField) -> None:
    for color in (0, 1):
        word = field.load(State(traced=True, slot=9, color=color)).value
        for match in (field.traced, lambda color=None: field.of_task(9, color)):
            assert word & match().mask == match().value
            assert [word & match(asked).mask == match(asked).value for asked in (0, 1)] == [color == 0, color == 1]


def test_only_the_dscp_is_moved_never_the_ecn() -> None:
    field = StateField(REGISTERS[15])
    for move, source in ((field.write_mark(), state.CODE), (field.restore_dscp(), state.DSCP)):
        assert (move.source.offset, move.source.width) == (source.offset, source.width)
        assert (move.destination.field, move.destination.offset, move.destination.width) == (IP_DSCP, 0, 6)


def test_pkt_mark_must_be_wholly_empty_before_we_use_it() -> None:
    assert StateField(PKT_MARK).unseen().mask == PKT_MARK.full_mask
    assert StateField(REGISTERS[3]).unseen().mask == state.GUARD.mask


@pytest.mark.parametrize("mark", [state.TRACED.mask, state.ALL, 0xFFFFFFFF, 0x4000_0003, 0xC000_0003])
def test_a_packet_that_brings_a_mark_of_its_hosts_is_not_taken_for_a_traced_one(mark: int) -> None:
    field = StateField(PKT_MARK)
    match, load = field.traced(), field.load(State(traced=True, slot=7))
    assert load.value & match.mask == match.value
    assert load.mask == PKT_MARK.full_mask
    assert mark & match.mask != match.value


def test_signed_state_reads_as_any_other() -> None:
    written = State(traced=True, index=2, code=7, dscp=46, slot=511)
    assert State.of(StateField(PKT_MARK).load(written).value) == written
