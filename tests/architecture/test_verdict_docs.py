"""docs/verdicts.md explains every cause this tool can name."""

import re
from pathlib import Path

import pytest

from vtrace_ovs.lab.faults.fault import FaultName
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition

PAGE = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `([a-z-]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("code", CauseCode)
def test_every_code_has_a_section_with_meaning_recipe_and_fix(code: CauseCode) -> None:
    section = SECTIONS.get(code.value)
    assert section is not None, f"docs/verdicts.md has no section for {code.value}"
    for part in ("**Means.** ", "**Reproduce.** ", "**Fix.** "):
        assert section.count(part) == 1


def test_no_section_is_about_a_code_that_does_not_exist() -> None:
    assert set(SECTIONS) == {code.value for code in CauseCode}


def test_every_disposition_and_confidence_is_explained() -> None:
    for word in (*Disposition, *Confidence):
        assert f"| `{word.value}` |" in PAGE


def test_the_lab_faults_of_the_recipes_exist_and_are_all_used() -> None:
    named = set(re.findall(r"vtrace lab fault ([a-z-]+)", PAGE))
    assert named == {fault.value for fault in FaultName}
