import json

import pytest

from vtrace_ovs.rendering.checks import Check, Need, check_lines, checks_document, missing
from vtrace_ovs.rendering.lines import plain_text

GOOD = Check("python", Need.TRACING, ok=True, found="3.11.7", remedy="install it")
NO_OVSDB = Check("ovsdb", Need.TRACING, ok=False, found="no such socket", remedy="start it")
NO_ROOT = Check("user", Need.LAB, ok=False, found="user 1000", remedy="run as root")


def test_a_failed_check_is_followed_by_its_remedy() -> None:
    assert plain_text(check_lines([GOOD, NO_OVSDB, NO_ROOT])).splitlines() == [
        "✓ python  3.11.7",
        "✗ ovsdb   no such socket",
        "          start it",
        "? user    user 1000",
        "          run as root",
        "",
        "Tracing cannot work here. The lab cannot.",
    ]


@pytest.mark.parametrize(
    ("checks", "words"),
    [([GOOD], "Tracing can work here. So can the lab."), ([GOOD, NO_ROOT], "Tracing can work here. The lab cannot.")],
)
def test_the_last_line_sums_up(checks: list[Check], words: str) -> None:
    assert plain_text(check_lines(checks)).splitlines()[-1] == words


def test_advice_never_stops_anything() -> None:
    advice = Check("inventory", Need.ADVICE, ok=False, found="a port has no VM")
    assert not any(missing([GOOD, advice], need) for need in (Need.TRACING, Need.LAB))


def test_checks_have_a_document() -> None:
    document = json.loads(checks_document([NO_ROOT]))
    assert document["checks"] == [
        {"name": "user", "need": "lab", "ok": False, "found": "user 1000", "remedy": "run as root"}
    ]
