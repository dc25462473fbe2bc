"""Turns N cases (a packet on generated VFDs) into a count of packets that noticed us: ``make equivalence``.

Open vSwitch runs beside it, so the machine needs its programs but no root. A difference is printed with its pipelines
and both traces, and the exit code is 1. ``make equivalence N=… SEED=…`` repeats a run.
"""

import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "functional"))

from courts import Courts
from equivalence_generator import World, worlds  # found by the line before
from equivalence_judge import Tally, bench
from equivalence_rules import Kind
from page import Section, publish

from vtrace_ovs.errors import InfrastructureError, LabError

SHOWN = 3
PER_WORLD = 16  # packets, about: refused worlds have none
ALLOWED = {
    Kind.ELSEWHERE: "conntrack fields of the megaflow",
    Kind.OTHER: "the megaflow",
    Kind.WATCHED: "the megaflow, our copies",
    Kind.TRACED: "the megaflow, our copies, DSCP inside a tunnel toward an armed VFD",
    Kind.FORGED: "the megaflow, our copies, DSCP",
}
REASONS = {
    "no register is unused": "`pkt_mark` would leave through a flow that cannot be instrumented",
    "production flows use every": "no register is unused, nor is `pkt_mark`",
    "a production flow writes the DSCP": "a flow writes the DSCP of traced packets",
    "a production flow of the first table that packets of a patch port": "it is unclear which packets to keep apart",
    "a production flow is in the way": "a flow of table 0 has a priority that ours need",
    "only ": "too few DSCP code points are unused",
}


def main(cases: int, number: int) -> int:
    """Compare at least so many cases, publish the counts, and tell differences."""
    tally = Tally()
    silences: list[str] = []
    print(f"seed {number}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, Courts(Path(directory), bench) as courts:
        rounds = 0
        while sum(tally.cases.values()) < cases:
            missing = cases - sum(tally.cases.values())

            @seed(number + rounds)
            @settings(
                max_examples=max(1, missing // PER_WORLD),
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(world=worlds())
            def compare(world: World) -> None:
                try:
                    tally.add(courts.judge, world)
                except (OSError, InfrastructureError, LabError) as error:
                    silences.append(f"{world}\n{error!r}")
                    courts.reopen()

            compare()
            rounds += 1
    publish(_section(tally, cases, number, silences))
    print(f"{time.monotonic() - began:.0f} s")
    for text in (*tally.differences[:SHOWN], *silences[:SHOWN]):
        print(text, file=sys.stderr)
    return int(bool(tally.differences))


def _section(tally: Tally, cases: int, number: int, silences: list[str]) -> Section:
    rows = [(kind.value, f"{tally.cases[kind]:,}", ALLOWED[kind], f"{tally.different[kind]:,}") for kind in Kind]
    refused = Counter[str]()
    for reason, times in tally.refused.items():
        refused[next((told for start, told in REASONS.items() if reason.startswith(start)), reason)] += times
    n_refused, planned = refused.total(), tally.worlds - refused.total()
    told = "; ".join(f"{times} because {reason}" for reason, times in refused.most_common()) or "none"
    named = sum(times for reason, times in tally.refused.items() if re.search(r"table=\d+|group \d+", reason))
    case = "one packet on two generated VFDs with a patch port between them and a VXLAN port, before and after arming"
    marked, recirculated = f"{tally.marked:,} packets left with a mark", f"{tally.recirculated:,} were recirculated"
    return Section(
        "equivalence",
        "What packets notice of our flows",
        ("packets", "cases", "what may differ", "what else differed"),
        (*rows, ("**all**", f"**{sum(tally.cases.values()):,}**", "", f"**{len(tally.differences):,}**")),
        (
            f"`make equivalence N={cases} SEED={number}`. A case is {case}.",
            "Compared are datapath actions, final flow and megaflow of `ofproto/trace`.",
            f"{planned} of {tally.worlds} pairs of VFDs were planned ({planned / max(tally.worlds, 1):.0%}).",
            f"Refused: {told}. {named} of {n_refused} name a flow or group in the way.",
            f"{tally.copies:,} copies; {marked}, {recirculated}.",
            "A meter behind a copy may see headers that production writes behind the meter (see limitations.md).",
            "Packets that production itself sends in circles are left out.",
            "The last kind: a tenant's own use of a code point may be taken for a mark (see limitations.md).",
            f"{len(silences)} pairs on which ovs-vswitchd hung or died could not be compared.",
        ),
    )


if __name__ == "__main__":
    arguments = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(arguments + [10_000, secrets.randbelow(1 << 32)][len(arguments) :])))
