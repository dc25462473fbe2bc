"""Turns a cause code into the section docs/verdicts.md must have: run it to get those that are missing.

What can be known without thinking is filled in: which faults of the lab show it, and the remedy.
"""

import re
import sys
from pathlib import Path

from vtrace_ovs.diagnosis.wording import WORDINGS
from vtrace_ovs.lab.faults.catalogue import CATALOGUE
from vtrace_ovs.model.verdict import CauseCode

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
PARTS = ("**Means.** ", "**Reproduce.** ", "**Fix.** ")


def sections(page: str) -> dict[str, str]:
    """The text of each section by the code it is about."""
    return dict(re.findall(r"^## `([a-z-]+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))


def faults_of(code: CauseCode) -> list[str]:
    """The faults of the lab that some traffic, or the reply to some, gets this verdict by."""
    return [
        name.value
        for name, kind in CATALOGUE.items()
        if any(code in {symptom.code, symptom.reply_code} for symptom in kind.symptoms)
    ]


def skeleton(code: CauseCode) -> str:
    """A section to be completed."""
    faults = ", ".join(f"`vtrace lab fault {name}`" for name in faults_of(code)) or "…"
    wording = WORDINGS.get(code)
    means, fix = ("…", "…") if wording is None else (wording.operator, wording.remedy)
    return f"## `{code.value}`\n{PARTS[0]}{means}\n{PARTS[1]}{faults}\n{PARTS[2]}{fix}\n"


if __name__ == "__main__":
    written = sections(PAGE.read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(skeleton(code) for code in CauseCode if code.value not in written))
