from vtrace_ovs.model.task import (
    DEFAULT_PACKET_COUNT,
    DEFAULT_TRACE_TIME,
    PACKET_COUNT_RANGE,
    TRACE_TIME_RANGE,
    TaskState,
)


def test_the_last_five_states_are_final() -> None:
    assert [state.final for state in TaskState] == [False] * 6 + [True] * 5


def test_the_defaults_are_in_their_ranges() -> None:
    assert DEFAULT_PACKET_COUNT in PACKET_COUNT_RANGE
    assert DEFAULT_TRACE_TIME in TRACE_TIME_RANGE
