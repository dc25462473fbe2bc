"""Copies lost on their way to the controller are told apart from packets lost on theirs (idea N3)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lossy_wire import LossyWire
from lost_copies import DELIVERED, EVERYWHERE, ON_THE_WAY, RATE, SITUATIONS, UNKNOWN, Fates, Loss, fates, traced
from vtrace_program import sending

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.pytest_plugin import Tracer

HALF = 0.5
PAST_CS1: tuple[Loss, ...] = tuple(((bridge,), HALF) for bridge in ON_THE_WAY[1:])
AT_CS1: Loss = ((ON_THE_WAY[0],), HALF)
TRIED = {
    "healthy": (AT_CS1, *PAST_CS1, *EVERYWHERE),
    "security-deny": (AT_CS1, *PAST_CS1, *EVERYWHERE),
    "underlay-link-down": (AT_CS1, PAST_CS1[-1], EVERYWHERE[-1]),  # nothing comes past cs1
    "rate-limit": (AT_CS1, PAST_CS1[-1], EVERYWHERE[-1]),
}


@pytest.fixture
def wire(lab: Lab, tmp_path: Path) -> Iterator[LossyWire]:
    wire = LossyWire(lab, tmp_path / "wire")
    yield wire
    wire.close()


@pytest.fixture
def vtrace_ovsdb(wire: LossyWire) -> tuple[str, ...]:
    return wire.ovsdb


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.usefixtures("unchanged")
def test_lost_copies_are_not_lost_packets_and_hide_no_other_cause(
    lab: Lab, vtrace: Tracer, wire: LossyWire, name: str
) -> None:
    situation = SITUATIONS[name]
    said: Fates = set()
    with situation.brought_about(lab), sending(lab, rate=RATE):
        for seed, loss in enumerate(TRIED[name]):
            said |= fates(traced(situation, wire, vtrace, loss, seed))
    assert said >= situation.true - {DELIVERED}
    assert UNKNOWN in said
