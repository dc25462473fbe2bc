from vtrace_ovs.model.cost import ServerCost, ServerReading
from vtrace_ovs.rendering.costs import cost_lines

BEFORE = ServerReading(10.0, megaflows=5, masks=4, upcalls=100, cpu_seconds=7.0)
DURING = ServerReading(14.0, megaflows=8, masks=4, upcalls=112, cpu_seconds=7.016)
COST = ServerCost("cs1", 40, BEFORE, DURING)
QUIET = ServerCost("cs2", 0, BEFORE, DURING)


def shown(*costs: ServerCost, detail: int = 0) -> list[str]:
    return [line.shown for line in cost_lines(costs, detail)]


def test_a_server_that_sent_copies_has_one_line() -> None:
    assert shown(COST, QUIET) == ["cost: cs1 +3 megaflows, +0 masks, 12 upcalls, 40 copies, 0.4 % CPU"]
    one = ServerCost("cs1", 1, BEFORE, ServerReading(14.0, megaflows=4, masks=5, upcalls=101))
    assert shown(one) == ["cost: cs1 -1 megaflow, +1 mask, 1 upcall, 1 copy"]


def test_what_is_not_known_is_not_mentioned() -> None:
    assert shown(ServerCost("cs1", 2)) == ["cost: cs1 2 copies"]
    assert shown(ServerCost("cs1", 2, ServerReading(1.0), ServerReading(2.0, cpu_seconds=3.0)), detail=1) == [
        "cost: cs1 2 copies",
        "  before: nothing known",
        "  during: 3.000 s of CPU",
    ]


def test_detail_shows_the_readings_and_the_other_servers() -> None:
    lines = shown(COST, QUIET, detail=1)
    assert lines[1] == "  before: 5 megaflows, 4 masks, 100 upcalls since it started, 7.000 s of CPU"
    assert lines[3].startswith("cost: cs2 ")
