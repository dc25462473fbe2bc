import pytest

from vtrace_ovs.filters import counting_request, trace_request
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Disposition, Headline
from vtrace_ovs.rendering.lines import Style, plain_text
from vtrace_ovs.rendering.tasks import headline_phrase, state_line, task_table

REQUEST = trace_request("tcp,tp_dst=443", vni=5001, source_vm="web-0", destination_vm="db-0")


def test_a_table_has_one_aligned_line_per_task() -> None:
    tasks = [
        Task(9, REQUEST, TaskState.ARMED, 1000.0),
        Task(10, trace_request("ip"), TaskState.FAILED, 0.0, reason="server2: no OVSDB"),
        Task(11, counting_request("ip", counting_time=60), TaskState.DONE, 990.0),
    ]
    assert plain_text(task_table(tasks, {}, 1030.0)).splitlines() == [
        "TASK  STATE   PACKETS  SECONDS  AGE  VERDICT  FILTER",
        "   9  armed        20       30  30s           tcp,tp_dst=443 --vni 5001 --from web-0 --to db-0",
        "  10  failed       20       30  17m           ip  server2: no OVSDB",
        "  11  done        all       60  40s           ip",
    ]


def test_a_table_says_what_each_task_found_and_shows_a_loss_as_one() -> None:
    ip = trace_request("ip")
    tasks = [Task(1, ip, TaskState.DONE, 0.0), Task(2, ip, TaskState.DONE, 0.0), Task(3, ip, TaskState.PARTIAL, 0.0)]
    headlines = {
        1: Headline(Disposition.DELIVERED, CauseCode.NONE),
        2: Headline(Disposition.DROPPED, CauseCode.NO_ROUTE, BridgeId("gw1", "vr-blue")),
        3: Headline(Disposition.UNSEEN, CauseCode.NOT_SENT),
    }
    wire = Headline(Disposition.LOST_ON_WIRE, CauseCode.UNDERLAY_LOSS, BridgeId("cs1", "br-int"))
    assert headline_phrase(wire) == "✗ LOST_ON_WIRE underlay-loss after cs1/br-int"
    _, *rows = task_table(tasks, headlines, 1.0)
    assert [row.shown.partition("1s  ")[2].rstrip() for row in rows] == [
        "✓ DELIVERED                        ip",
        "✗ DROPPED no-route at gw1/vr-blue  ip",
        "? UNSEEN not-sent                  ip",
    ]
    assert [row.spans[0].style for row in rows] == [Style.GOOD, Style.BAD, Style.UNSURE]


def test_a_task_that_looks_everywhere_says_so() -> None:
    task = Task(1, trace_request("tcp,tp_dst=443", wide=True), TaskState.NEW, 0.0)
    assert plain_text(task_table([task], {}, 1.0)).endswith("  tcp,tp_dst=443 --wide\n")


def test_an_empty_table_says_so() -> None:
    assert plain_text(task_table([], {}, 0.0)) == "no tasks\n"


@pytest.mark.parametrize(("age", "text"), [(0, "0s"), (-5, "0s"), (60, "1m"), (3600, "1h"), (90000, "1d")])
def test_ages_are_short(age: float, text: str) -> None:
    _, row = task_table([Task(1, trace_request("ip"), TaskState.NEW, 0.0)], {}, age)
    assert row.shown.split()[-2:] == [text, "ip"]


def test_a_state_line_counts_from_the_request() -> None:
    task = Task(3, REQUEST, TaskState.ARMED, 100.0)
    assert state_line(task, 100.41).shown == "task 3  +0.41 s  armed"


def test_the_line_of_a_final_state_counts_to_its_end() -> None:
    task = Task(3, REQUEST, TaskState.PARTIAL, 100.0, ended_at=102.0, reason="server2 went away")
    assert state_line(task, 500.0).shown == "task 3  +2.00 s  partial  server2 went away"


def test_a_requested_cancellation_shows_until_it_happened() -> None:
    waiting = Task(3, REQUEST, TaskState.ARMED, 0.0, cancel_requested=True)
    assert state_line(waiting, 1.0).shown.endswith("cancellation requested")
    over = Task(3, REQUEST, TaskState.CANCELLED, 0.0, ended_at=1.0, cancel_requested=True)
    assert state_line(over, 1.0).shown.endswith("cancelled")


def test_every_state_has_a_line() -> None:
    assert all(state.value in state_line(Task(1, REQUEST, state, 0.0), 0.0).shown for state in TaskState)
