"""The overlay the lab's unit tests are about, the one that ships, and that overlay with a fault in it."""

from collections.abc import Callable

import pytest

from vtrace_ovs.lab.faults.catalogue import CATALOGUE
from vtrace_ovs.lab.faults.fault import Fault, resolved
from vtrace_ovs.lab.faults.kinds import OverlayEdit
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.overlay import Overlay


@pytest.fixture(scope="session")
def overlay() -> Overlay:
    return load_topology("vpc")


def _broken(overlay: Overlay, fault: Fault) -> Overlay:
    kind = CATALOGUE[fault.name]
    assert isinstance(kind.way, OverlayEdit)
    return kind.way.edit(overlay, resolved(fault, overlay, of_sender=kind.of_sender))


@pytest.fixture(scope="session")
def broken() -> Callable[[Overlay, Fault], Overlay]:
    """The overlay with a fault that is an edit of it."""
    return _broken
