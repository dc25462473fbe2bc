from datetime import UTC, date, datetime

from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.model.usage import TABLE_4, CauseCount, TaskOutcome, Week, usage_of
from vtrace_ovs.model.verdict import CauseCategory, Disposition

SUNDAY = datetime(2026, 3, 1, 23, 59, tzinfo=UTC).timestamp()
MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
LATER = datetime(2026, 3, 18, 12, tzinfo=UTC).timestamp()
DENIED = (Disposition.DROPPED, CauseCategory.SECURITY_POLICY)


def test_a_week_begins_on_monday_and_no_week_is_left_out() -> None:
    counted = usage_of(
        [TaskOutcome(LATER, 20, 30, *DENIED), TaskOutcome(SUNDAY, 20, 30, *DENIED), TaskOutcome(MONDAY, 20, 30)]
    )
    assert counted.weeks == (
        Week(date(2026, 2, 23), 1, 1),
        Week(date(2026, 3, 2), 1, 0),
        Week(date(2026, 3, 9), 0, 0),
        Week(date(2026, 3, 16), 1, 1),
    )


def test_distributions_count_what_was_asked_for() -> None:
    counted = usage_of([TaskOutcome(MONDAY, count, 600) for count in (20, 10, 20, 500)])
    assert counted.packet_counts.counts == ((10, 1), (20, 2), (500, 1))
    assert counted.packet_counts.cumulative() == ((10, 0.25), (20, 0.75), (500, 1.0))
    assert counted.packet_counts.between(10, 20) == 3
    assert counted.trace_times.counts == ((600, 4),)


def test_causes_are_those_of_proven_losses_by_the_bridge_they_are_blamed_on() -> None:
    counted = usage_of(
        [
            TaskOutcome(MONDAY, 20, 30, *DENIED, BridgeRole.VSWITCH),
            TaskOutcome(MONDAY, 20, 30, *DENIED, BridgeRole.VSWITCH),
            TaskOutcome(MONDAY, 20, 30, *DENIED, BridgeRole.VROUTER),
            TaskOutcome(MONDAY, 20, 30, Disposition.LOST_ON_WIRE, CauseCategory.PHYSICAL_NETWORK),
            TaskOutcome(MONDAY, 20, 30, Disposition.INCONCLUSIVE, CauseCategory.UNKNOWN),
            TaskOutcome(MONDAY, 20, 30, Disposition.DELIVERED, CauseCategory.NONE),
            TaskOutcome(MONDAY, 20, 30),
        ]
    )
    assert (counted.tasks, counted.with_result, counted.losses) == (7, 6, 4)
    assert counted.causes == (
        CauseCount(CauseCategory.SECURITY_POLICY, BridgeRole.VSWITCH, 2),
        CauseCount(CauseCategory.SECURITY_POLICY, BridgeRole.VROUTER, 1),
        CauseCount(CauseCategory.PHYSICAL_NETWORK, None, 1),
    )
    assert counted.caused(TABLE_4, (*BridgeRole, None)) == 3
    assert counted.caused(TABLE_4, (BridgeRole.VROUTER,)) == 1


def test_nothing_is_counted_where_there_is_no_task() -> None:
    counted = usage_of([])
    assert (counted.tasks, counted.weeks, counted.packet_counts.cumulative()) == (0, (), ())
