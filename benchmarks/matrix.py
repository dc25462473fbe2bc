"""Turns every fault of the catalogue, in every protocol and family, into docs/verdict-matrix.md (``make matrix``).

``python benchmarks/matrix.py SEEDS`` tries each as often as that (3), with other paces of traffic. Exit code 1 when a
verdict was wrong; an unknown one is counted, and the page says how many there may be.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "emulation"))

from fault_cases import Judgement, Outcome, outcomes, topologies, trials  # noqa: E402 - behind its path
from page import machine  # noqa: E402 - as above

from vtrace_ovs.cli.settings import Settings  # noqa: E402 - as above
from vtrace_ovs.lab.network import Lab  # noqa: E402 - as above
from vtrace_ovs.lab.topologies import load_topology  # noqa: E402 - as above
from vtrace_ovs.model.verdict import CauseCode, Disposition  # noqa: E402 - as above
from vtrace_ovs.pytest_plugin import Tracer  # noqa: E402 - as above

PAGE = ROOT / "docs" / "verdict-matrix.md"
MOST_UNKNOWN = 0.03
SEEDS = 3
TOP = """# Verdict matrix

Written by `make matrix`: every fault of the lab, injected for real, in every protocol and family it is about, with real
packets, and what was said of them. A verdict is right when disposition, cause, bridge and table are; it is unknown
when it says that it does not know; anything else is wrong. Bars: wrong 0, unknown at most 3 %, no healthy traffic
called lost.
"""


@dataclass(frozen=True, slots=True)
class Tried:
    """One outcome in words, and the seed of its pace."""

    seed: int
    fault: str | None
    traffic: str
    expected: str
    got: str
    judgement: Judgement

    @staticmethod
    def of(seed: int, outcome: Outcome) -> "Tried":
        """The outcome as the page tells it."""
        case, wanted, verdict = outcome.case, outcome.case.symptom, outcome.verdict
        expected = _said(wanted.disposition, wanted.code, wanted.place, wanted.table)
        return Tried(
            seed,
            None if case.fault is None else case.fault.value,
            f"{case.protocol.value} over {case.family.name}",
            expected,
            _said(verdict.disposition, verdict.code, outcome.place, outcome.table),
            outcome.judgement,
        )


def main() -> int:
    """Try all, every seed on labs of its own beside the others, and write the page."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
    began = time.monotonic()
    with ProcessPoolExecutor(len(seeds), mp_context=get_context("spawn")) as pool:
        tried = [one for of_seed in pool.map(_of_seed, seeds) for one in of_seed]
    PAGE.write_text(_page(tried, time.monotonic() - began), encoding="utf-8")
    return 1 if any(one.judgement is Judgement.WRONG for one in tried) else 0


def _of_seed(seed: int) -> list[Tried]:
    return [one for topology in topologies() for one in _on(topology, seed)]


def _on(topology: str, seed: int) -> Iterator[Tried]:
    """Everything there is to try on one lab."""
    with TemporaryDirectory() as place, Lab(load_topology(topology), Path(place) / topology) as lab:
        ovsdb = lab.state().ovsdb_remotes
        for number, together in enumerate(trials(topology)):
            run = Path(place) / str(number)
            run.mkdir()
            settings = Settings(ovsdb, ovsdb_given=True, database=str(run / "vtrace.db"), rundir=run, colours=False)
            for outcome in outcomes(lab, Tracer(settings, ovsdb), together, seed):
                said = "" if outcome.judgement is Judgement.RIGHT else f": {outcome.verdict.operator_sentence}"
                print(f"{outcome.judgement.value:8} {outcome.case}, seed {seed}{said}", flush=True)
                yield Tried.of(seed, outcome)


def _page(tried: Sequence[Tried], seconds: float) -> str:
    healthy = [one for one in tried if one.fault is None]
    faulty = [one for one in tried if one.fault is not None]
    lines = [TOP, machine(), "", "| traffic | tried | right | unknown | wrong |", "|---|---|---|---|---|"]
    lines += [_sum("faults", faulty), _sum("healthy", healthy), ""]
    share = sum(one.judgement is Judgement.UNKNOWN for one in faulty) / max(1, len(faulty))
    lines += [
        f"{len({one.fault for one in faulty})} faults, {len({one.seed for one in tried})} seeds.",
        f"{seconds / 60:.0f} minutes. Unknown: {share:.1%} ({'met' if share <= MOST_UNKNOWN else '**missed**'}).",
        "",
        "| fault | traffic | expected | got |",
        "|---|---|---|---|",
    ]
    by_case: dict[tuple[str, str, str], list[Tried]] = {}
    for one in tried:
        by_case.setdefault((one.fault or "healthy", one.traffic, one.expected), []).append(one)
    lines += [f"| {' | '.join(case)} | {_results(found)} |" for case, found in by_case.items()]
    return "\n".join(lines) + "\n"


def _results(found: Sequence[Tried]) -> str:
    counts = Counter("as expected" if one.judgement is Judgement.RIGHT else one.got for one in found)
    return ", ".join(f"{count} times {text}" for text, count in counts.items())


def _sum(what: str, tried: Sequence[Tried]) -> str:
    counts = Counter(one.judgement for one in tried)
    cells = (counts[Judgement.RIGHT], counts[Judgement.UNKNOWN], counts[Judgement.WRONG])
    return f"| {what} | {len(tried)} | {' | '.join(map(str, cells))} |"


def _said(disposition: Disposition, code: CauseCode, bridge: str | None, table: int | None) -> str:
    place = "" if bridge is None else f" at {bridge}{'' if table is None else f' table {table}'}"
    return f"{disposition.value} `{code.value}`{place}"


if __name__ == "__main__":
    sys.exit(main())
