"""Which tasks may follow others: numbers rest, and those beyond the cap are refused, on the real switches."""

from collections.abc import Sequence

import pytest
from vtrace_program import NEVER_SENT, TCP, UDP, Vtrace, await_that, sending, vfds

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.session.settings import SessionSettings

TRACE_TIME, INFRASTRUCTURE = 60, 4
pytestmark = pytest.mark.usefixtures("unchanged")


def ours(lab: Lab) -> Sequence[Cookie]:
    """What the flows that all VFDs carry for us are for."""
    dumps = (
        lab.ovs(server).ofctl("--no-stats", "dump-flows", str(lab.ovs(server).management_socket(bridge)))
        for server, bridge in vfds(lab)
    )
    values = (line.partition("cookie=")[2].partition(",")[0] for dump in dumps for line in dump.splitlines())
    cookies = (Cookie.of(int(value, 16)) for value in values if value)
    return [cookie for cookie in cookies if cookie is not None]


def colored(lab: Lab) -> set[int]:
    """The numbers of the tasks whose packets are colored now."""
    return {cookie.slot for cookie in ours(lab) if cookie.kind is CookieKind.COLOR}


def armed(program: Vtrace, text: str) -> int:
    task = program.add(text, 5, TRACE_TIME, source_vm="blue-web1")
    await_that(lambda: program.state(task) == "armed", lambda: program.state(task))
    return task


def ended(program: Vtrace, *tasks: int) -> None:
    with program.store() as store:
        for task in tasks:
            store.request_cancel(task)
    await_that(lambda: {program.state(task) for task in tasks} == {"cancelled"})


def test_the_number_of_a_task_that_ended_is_nobodys_until_late_packets_are_gone(lab: Lab, program: Vtrace) -> None:
    """Trap T18, as the flow tables show it: one task after another, until a number comes again."""
    last: dict[int, int] = {}
    with program.controller():
        while True:
            task = armed(program, NEVER_SENT)
            (number,) = colored(lab)
            if number in last:
                break
            ended(program, task)
            assert not ours(lab)
            last[number] = task
        ended(program, task)
    with program.store() as store:
        before, after = store.task(last[number]), store.task(task)
    assert before is not None
    assert after is not None
    assert before.ended_at is not None
    assert after.armed_at is not None
    assert after.armed_at - before.ended_at >= SessionSettings().slot_quarantine


def test_a_task_beyond_the_cap_is_refused_and_those_that_run_do_not_notice(lab: Lab, program: Vtrace) -> None:
    with program.controller(VTRACE_MAX_TASKS="2"):
        others = armed(program, NEVER_SENT), armed(program, UDP)
        before = ours(lab)
        refused = program.add(TCP, 5, TRACE_TIME, source_vm="blue-web1")
        await_that(lambda: program.state(refused) == "failed", lambda: program.state(refused))
        assert [program.state(task) for task in others] == ["armed", "armed"]
        assert ours(lab) == before
        said = program("result", str(refused))
        assert said.returncode == INFRASTRUCTURE
        assert "2 tasks run already" in said.stderr
        assert "wait until one ends, or cancel one" in said.stderr
        with sending(lab):
            assert program.result(others[1]).verdict.disposition is Disposition.DELIVERED
        ended(program, others[0], armed(program, TCP))
