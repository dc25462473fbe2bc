"""Turns a number of mutated inputs into a count of crashes: ``make fuzz N=1000000``, then the same figure on the page.

Anything but CodecError and FilterError is a crash, and so is a value that changes on its way back to bytes. Inputs are
mutations of what a real Open vSwitch sent (tests/fuzz/corpus.txt). A crash is printed with its input, and the exit code
is 1. ``python benchmarks/fuzz.py N SEED`` repeats a run.
"""

import secrets
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os import cpu_count
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fuzz"))

from mutation import mutations  # found by the line before
from page import Section, publish
from targets import Kind, accepts, corpus, forget

SHARES = {
    Kind.FLOWS: 8,
    Kind.MESSAGE: 4,
    Kind.FRAME: 2,
    Kind.FILTER: 2,
    Kind.GROUPS: 2,
    Kind.DUMP: 4,
    Kind.TRACE: 2,
    Kind.CAPTURE: 2,
}
TOLD = {
    Kind.MESSAGE: "whole messages, packet-ins among them",
    Kind.FLOWS: "flow statistics: matches, instructions, actions",
    Kind.FRAME: "captured frames (`codecs.frames.headers`)",
    Kind.FILTER: "filter text",
    Kind.DUMP: "text of ovs-ofctl (`codecs.dump_text`)",
    Kind.TRACE: "text of `ofproto/trace` (`codecs.trace_text`)",
    Kind.CAPTURE: "pcap and pcapng files, hexadecimal frames",
    Kind.MAC_TABLE: "text of `fdb/show`",
}
BATCH = 20_000
NOTES = """\
`make fuzz N={total}`, seed {seed}, {seconds:.0f} s: mutations of what a real Open vSwitch sent, \
`tests/fuzz/corpus.txt`.
Accepted flows are also worded, indexed for the walker, encoded and decoded again: a difference is a crash as well.
`make check` tries a few thousand inputs each time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some inputs of one kind; the seed names them."""

    kind: Kind
    inputs: int
    seed: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch; ``crashes`` are (input in hex, traceback)."""

    batch: Batch
    accepted: int
    seconds: float
    crashes: tuple[tuple[str, str], ...]


def main() -> int:
    """Share the inputs out over the cores, then publish what became of them."""
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = sys.argv[2] if len(sys.argv) > 2 else secrets.token_hex(4)  # noqa: PLR2004 - the second argument
    began = time.monotonic()
    with ProcessPoolExecutor(cpu_count()) as pool:
        outcomes = list(pool.map(run, batches(inputs, seed)))
    crashes = [crash for outcome in outcomes for crash in outcome.crashes]
    for octets, trace in crashes[:10]:
        print(f"--- {octets}\n{trace}")
    publish(_section(outcomes, seed, time.monotonic() - began))
    return 1 if crashes else 0


def batches(inputs: int, seed: str) -> Iterator[Batch]:
    """At least this many inputs, more of them for what is more intricate."""
    whole = sum(SHARES.get(kind, 1) for kind in Kind)
    for kind in Kind:
        left, number = -(-inputs * SHARES.get(kind, 1) // whole), 0
        while left > 0:
            yield Batch(kind, min(left, BATCH), f"{seed}/{kind.value}/{number}")
            left, number = left - BATCH, number + 1


def run(batch: Batch) -> Outcome:
    """Try every input of a batch."""
    began = time.perf_counter()
    accepted, crashes = 0, []
    seeds = corpus()[batch.kind]
    for octets in islice(mutations(seeds, Random(batch.seed)), batch.inputs):  # noqa: S311 - repeatable, not secret
        try:
            accepted += accepts(batch.kind, octets)
        except Exception:  # noqa: BLE001 - a crash is what is looked for
            crashes.append((f"{batch.kind.value} {octets.hex()}", traceback.format_exc(limit=-3)))
    forget()
    return Outcome(batch, accepted, time.perf_counter() - began, tuple(crashes))


def _section(outcomes: list[Outcome], seed: str, seconds: float) -> Section:
    rows = [_row(kind, [each for each in outcomes if each.batch.kind is kind]) for kind in Kind]
    total = sum(each.batch.inputs for each in outcomes)
    crashes = sum(len(each.crashes) for each in outcomes)
    return Section(
        "fuzz",
        "Fuzzing the decoders",
        ("input", "tried", "accepted", "refused in one line", "crashes", "per input"),
        [*rows, ("**all**", f"**{total:,}**", "", "", f"**{crashes}**", "")],
        NOTES.format(total=total, seed=seed, seconds=seconds).splitlines(),
    )


def _row(kind: Kind, outcomes: list[Outcome]) -> tuple[str, ...]:
    inputs = sum(each.batch.inputs for each in outcomes)
    accepted = sum(each.accepted for each in outcomes)
    crashes = sum(len(each.crashes) for each in outcomes)
    seconds = sum(each.seconds for each in outcomes)
    name = TOLD.get(kind, kind.value.replace("-", " "))
    return (
        name,
        f"{inputs:,}",
        f"{accepted:,}",
        f"{inputs - accepted - crashes:,}",
        str(crashes),
        f"{seconds / inputs * 1e6:.0f} µs",
    )


if __name__ == "__main__":
    sys.exit(main())
