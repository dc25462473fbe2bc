"""docs/verdicts.md explains every cause this tool can name, with the faults of the lab that show it."""

import re

import pytest
from verdict_skeletons import PAGE, PARTS, faults_of, sections, skeleton

from vtrace_ovs.lab.faults.fault import FaultName
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition

TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = sections(TEXT)
MISSING = "what is missing is printed by: python tests/architecture/verdict_skeletons.py"
NO_LAB_FAULT = {
    CauseCode.PATCH_LOSS: "no fault of a healthy Open vSwitch does it",
    CauseCode.HOP_LIMIT_REACHED: "it is a limit of the trace, met on paths longer than those of the lab",
    CauseCode.EVIDENCE_LOST: "it is about the trace, not the network",
    CauseCode.INTERNAL_ERROR: "it is a fault of this tool's own",
    CauseCode.UNKNOWN: "whatever is known to make it has a code of its own",
}


def reproduction(code: CauseCode) -> str:
    """How to see a cause, as the page has it."""
    found = re.search(r"\*\*Reproduce\.\*\* (.*?)(?=\*\*Fix\.\*\*)", SECTIONS[code.value], re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("code", CauseCode)
def test_every_code_has_a_section_with_meaning_recipe_and_fix(code: CauseCode) -> None:
    section = SECTIONS.get(code.value)
    assert section is not None, f"docs/verdicts.md has no section for {code.value}; {MISSING}"
    for part in PARTS:
        assert section.count(part) == 1
    assert "…" not in section


@pytest.mark.parametrize("code", CauseCode)
def test_every_code_has_a_fault_in_the_lab_or_a_reason_to_have_none(code: CauseCode) -> None:
    reason = NO_LAB_FAULT.get(code)
    assert faults_of(code) or reason, f"no fault of the lab shows {code.value}: add one, or say why there is none"
    assert not faults_of(code) or reason is None, f"{code.value} has a fault now: {reason!r} is not true any more"


@pytest.mark.parametrize("code", CauseCode)
def test_a_section_names_every_fault_that_shows_its_code(code: CauseCode) -> None:
    named = re.findall(r"vtrace lab fault ([a-z-]+)", reproduction(code))
    assert set(faults_of(code)) <= set(named), skeleton(code)


def test_the_skeleton_of_a_section_has_its_parts() -> None:
    assert sections(skeleton(CauseCode.NO_ROUTE)).keys() == {"no-route"}
    assert all(part in skeleton(CauseCode.NO_ROUTE) for part in PARTS)
    assert "vtrace lab fault no-route" in skeleton(CauseCode.NO_ROUTE)


def test_no_section_is_about_a_code_that_does_not_exist() -> None:
    assert set(SECTIONS) == {code.value for code in CauseCode}


def test_every_disposition_and_confidence_is_explained() -> None:
    for word in (*Disposition, *Confidence):
        assert f"| `{word.value}` |" in TEXT


def test_the_lab_faults_of_the_recipes_exist_and_are_all_used() -> None:
    named = set(re.findall(r"vtrace lab fault ([a-z-]+)", TEXT))
    assert named == {fault.value for fault in FaultName}
