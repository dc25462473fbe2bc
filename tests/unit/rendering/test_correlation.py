import json
from collections.abc import Callable

from vtrace_ovs.model.correlation import Correlation, LosingTask, Suspect, SuspectKind
from vtrace_ovs.model.verdict import Culprit, Disposition, Verdict
from vtrace_ovs.rendering.correlation import correlation_document, correlation_lines
from vtrace_ovs.rendering.lines import plain_text

MakeVerdict = Callable[..., Verdict]


def found(verdict: MakeVerdict) -> Correlation:
    lost = verdict(Disposition.LOST_IN_VFD, culprit=Culprit("cs3"))
    return Correlation(
        (
            Suspect(SuspectKind.VFD, "cs3/br-int", (1, 2), (1, 2, 3), (), ("blue", "red")),
            Suspect(SuspectKind.SERVER, "gw1", (), (3, 4), (), ()),
            Suspect(SuspectKind.LINK, "cs1 - cs3", (1, 2), (1, 2), (6,), ("blue",)),
        ),
        tuple(LosingTask(number, "blue" if number == 1 else None, lost) for number in (1, 2, 3, 4, 5)),
        (6,),
        (7,),
        (5,),
    )


def test_the_likeliest_cause_comes_first_and_every_loss_is_listed(verdict: MakeVerdict) -> None:
    assert plain_text(correlation_lines(found(verdict))).splitlines() == [
        "7 tasks: 5 lost packets, 1 did not, 1 cannot be told",
        "",
        (
            "✗ VFD cs3/br-int: blamed by 2 of 5 tasks that lost packets (1, 2), of tenants blue, red; "
            "no healthy task passed it"
        ),
        (
            "? server gw1: on the way of 2 of 5 tasks that lost packets (3, 4), whose verdicts blame different places; "
            "no healthy task passed it"
        ),
        "✗ link cs1 - cs3: blamed by 2 of 5 tasks that lost packets (1, 2), of tenant blue; healthy task 6 passed it",
        "",
        "Tasks that lost packets",
        "  task 1 (blue): ✗ LOST_IN_VFD at cs3 — observed",
        *(f"  task {number}: ✗ LOST_IN_VFD at cs3 — observed" for number in (2, 3, 4)),
        "  task 5: ✗ LOST_IN_VFD at cs3 — observed, alone",
    ]


def test_losses_without_anything_in_common_and_no_losses_are_said_so(verdict: MakeVerdict) -> None:
    lost = LosingTask(1, None, verdict(Disposition.DROPPED))
    assert "nothing in common" in plain_text(correlation_lines(Correlation((), (lost,), (), (), (1,))))
    healthy = plain_text(correlation_lines(Correlation((), (), (2,), (), ())))
    assert healthy == "1 task: 0 lost packets, 1 did not, 0 cannot be told\n"


def test_the_document_has_every_part(verdict: MakeVerdict) -> None:
    document = json.loads(correlation_document(found(verdict)))
    assert document["suspects"][0] == {
        "kind": "VFD",
        "name": "cs3/br-int",
        "blamed_by": [1, 2],
        "losing": [1, 2, 3],
        "healthy": [],
        "tenants": ["blue", "red"],
    }
    assert document["losing"][0] == {
        "task": 1,
        "tenant": "blue",
        "disposition": "LOST_IN_VFD",
        "code": "none",
        "operator_sentence": "For you.",
    }
    assert (document["healthy"], document["undecided"], document["alone"]) == ([6], [7], [5])
