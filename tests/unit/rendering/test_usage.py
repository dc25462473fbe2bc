import json

from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.model.usage import TaskOutcome, usage_of
from vtrace_ovs.model.verdict import CauseCategory, Disposition
from vtrace_ovs.rendering.lines import plain_text
from vtrace_ovs.rendering.usage import usage_document, usage_lines

MONDAY = 1_772_409_600.0
DENIED = (Disposition.DROPPED, CauseCategory.SECURITY_POLICY)
USAGE = usage_of(
    [
        TaskOutcome(MONDAY, 20, 30, *DENIED, BridgeRole.VSWITCH),
        TaskOutcome(MONDAY, 20, 30, *DENIED, BridgeRole.VSWITCH),
        TaskOutcome(MONDAY, 100, 600, Disposition.DROPPED, CauseCategory.CONFIG_ERROR, BridgeRole.VROUTER),
        TaskOutcome(MONDAY + 8 * 86400, 20, 600, Disposition.LOST_ON_WIRE, CauseCategory.PHYSICAL_NETWORK),
        TaskOutcome(MONDAY + 8 * 86400, 500, 600),
    ]
)


def test_the_screen_has_both_figures_and_the_table() -> None:
    assert plain_text(usage_lines(USAGE)).splitlines() == [
        "5 tasks, 4 with a result, 4 of them a loss",
        "",
        "Packets asked for",
        "       1-9       0    0.0 %",
        "     10-30       3   60.0 %  ##################",
        "    31-100       1   20.0 %  ######",
        "   101-500       1   20.0 %  ######",
        "",
        "Seconds asked for",
        "       1-9       0    0.0 %",
        "     10-40       2   40.0 %  ############",
        "    41-499       0    0.0 %",
        "   500-600       3   60.0 %  ##################",
        "",
        "Weeks (from Monday, UTC): tasks, losses (#)",
        "  2026-03-02       3       3  ##############################",
        "  2026-03-09       2       1  ##########----------",
        "",
        "Losses by cause              vSwitch         vRouter           other           total",
        "  security_policy         2 (66.7 %)       0 (0.0 %)       0 (0.0 %)      2 (66.7 %)",
        "  config_error             0 (0.0 %)      1 (33.3 %)       0 (0.0 %)      1 (33.3 %)",
        "  total                   2 (66.7 %)      1 (33.3 %)       0 (0.0 %)     3 (100.0 %)",
        "  physical_network                 0               0               1               1",
    ]


def test_an_empty_database_says_so() -> None:
    assert plain_text(usage_lines(usage_of([]))) == "no tasks that trace packets\n"
    assert json.loads(usage_document(usage_of([])))["packet_count"] == []


def test_the_document_has_every_count() -> None:
    document = json.loads(usage_document(USAGE))
    assert (document["schema"], document["tasks"], document["with_result"], document["losses"]) == (1, 5, 4, 4)
    assert document["packet_count"] == [
        {"value": 20, "tasks": 3, "cumulative_share": 0.6},
        {"value": 100, "tasks": 1, "cumulative_share": 0.8},
        {"value": 500, "tasks": 1, "cumulative_share": 1.0},
    ]
    assert document["weeks"][1] == {"monday": "2026-03-09", "tasks": 2, "losses": 1}
    assert document["causes"][-1] == {
        "category": "physical_network",
        "role": None,
        "losses": 1,
        "in_table_4": False,
    }
