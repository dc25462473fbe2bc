"""The overlay the lab's unit tests are about: the one that ships."""

import pytest

from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.overlay import Overlay


@pytest.fixture(scope="session")
def overlay() -> Overlay:
    return load_topology("vpc")
