"""Turns N rounds of real traffic whose copies are lost at random into a count of wrong verdicts: ``make lost-copies``.

Needs root and Mininet. Each round tries every situation, with copies lost at each VFD of the way and at all of them,
1, 10 and 50 % of them. Exit code 1 when a verdict was wrong.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "emulation"))

from lossy_wire import LossyWire
from lost_copies import DELIVERED, LOSSES, RATE, SITUATIONS, UNKNOWN, traced  # found by the line before
from vtrace_program import sending

from vtrace_ovs.cli.settings import Settings
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.pytest_plugin import Tracer


def main() -> int:
    """So many rounds as asked for (1), with other seeds each."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    wrong = 0
    with tempfile.TemporaryDirectory() as name, Lab(load_topology(), Path(name) / "vpc") as lab:
        place = Path(name)
        wire = LossyWire(lab, place / "wire")
        settings = Settings(
            wire.ovsdb, ovsdb_given=True, database=str(place / "vtrace.db"), rundir=place, colours=False
        )
        tracer = Tracer(settings, wire.ovsdb)
        for situation in SITUATIONS:
            wrong += _tried(situation, lab, wire, tracer, rounds)
        wire.close()
    return 1 if wrong else 0


def _tried(name: str, lab: Lab, wire: LossyWire, tracer: Tracer, rounds: int) -> int:
    """Says how the packets of one situation fared, and how many traces were judged wrong."""
    said: Counter[str] = Counter()
    situation, copies, wrong, traces = SITUATIONS[name], 0, 0, 0
    with situation.brought_about(lab), sending(lab, rate=RATE):
        for seed, loss in enumerate(LOSSES * rounds):
            traces += 1
            try:
                said.update(_packets(traced(situation, wire, tracer, loss, seed)))
            except AssertionError as error:
                wrong += 1
                print(f"WRONG: {name}, {loss}, seed {seed}: {error}", flush=True)
            copies += wire.lost.total()
    told = ", ".join(f"{count} {what}" for what, count in said.most_common())
    print(f"{name}: {traces} traces, {wrong} wrong; {copies} copies lost; packets: {told}", flush=True)
    return wrong


def _packets(result: TaskResult) -> Counter[str]:
    fates: Counter[str] = Counter()
    for group in result.groups:
        fate = group.verdict.disposition, group.verdict.code
        fates["delivered" if fate == DELIVERED else "unknown" if fate == UNKNOWN else fate[1].value] += group.packets
    return fates


if __name__ == "__main__":
    sys.exit(main())
