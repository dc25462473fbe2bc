"""Turns N cases (a packet on a table set) into a count of disagreements with ofproto/trace: ``make differential``.

Open vSwitch runs beside it, so the machine needs its programs but no root. A disagreement is printed with its flows and
both answers, and the exit code is 1. ``python benchmarks/differential.py N SEED`` repeats a run.
"""

import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "functional"))

from courts import Courts
from walker_generator import PACKETS, PER_TABLE_SET, tables  # found by the line before
from walker_judge import Judge, Traced, flow_line, judging
from walker_wire_generator import WireCase, wire_cases

from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.model.flow import Flow

SHOWN = 3


@dataclass
class Tally:
    """What came of every case. A case is one packet on one table set."""

    cases: int = 0
    ambiguous: int = 0
    searches: int = 0
    outputs: int = 0
    left_open: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)
    silences: list[str] = field(default_factory=list)

    def add(self, judge: Judge, flows: list[Flow], packets: Sequence[Traced]) -> None:
        """Compare these packets on these tables. Raises InfrastructureError or OSError when Open vSwitch dies."""
        for found in judge.compare(judge.install(flows), packets):
            self.cases += 1
            self.ambiguous += found.ambiguous
            self.searches += found.searches
            self.outputs += found.outputs
            self.left_open.update(set(found.open))
            if found.disagreement is not None:
                self.disagreements.append("\n".join([*map(flow_line, flows), found.disagreement]))

    def tell(self, seconds: float) -> None:
        """Print it all; disagreements go to standard error."""
        print(f"{self.cases} cases in {seconds:.0f} s: {self.searches} table searches, {self.outputs} outputs")
        print(f"{len(self.disagreements)} disagreements; {self.ambiguous} cases where OpenFlow leaves the order open")
        for name, times in self.left_open.most_common():
            print(f"{times:8} left open: {name}")
        if self.silences:
            print(f"{len(self.silences)} table sets that Open vSwitch hung or died on, and that nobody could compare")
        for text in (*self.disagreements[:SHOWN], *self.silences[:SHOWN]):
            print(text, file=sys.stderr)


def main(cases: int, number: int) -> int:
    """Compare about so many cases, and tell."""
    tally = Tally()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, Courts(Path(directory), judging) as courts:

        @seed(number)
        @settings(
            max_examples=max(1, cases // PER_TABLE_SET),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(st.builds(WireCase, tables(), PACKETS), wire_cases()))
        def compare(case: WireCase) -> None:
            flows, packets = case.flows, case.packets
            try:
                tally.add(courts.judge, flows, packets)
            except (OSError, InfrastructureError) as error:
                tally.silences.append("\n".join([*map(flow_line, flows), *map(str, packets), repr(error)]))
                courts.reopen()

        print(f"seed {number}", flush=True)
        compare()
    tally.tell(time.monotonic() - began)
    return int(bool(tally.disagreements))


if __name__ == "__main__":
    arguments = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(arguments + [100_000, secrets.randbelow(1 << 32)][len(arguments) :])))
