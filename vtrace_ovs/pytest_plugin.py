"""Turns a user's Mininet test into assertions on real packets (pytest fixtures)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Lab"]:
    """The vpc overlay on real Open vSwitches, up for the whole session. Tests leave it healthy: ``lab.faults``."""
    from vtrace_ovs.lab.network import Lab  # noqa: PLC0415 - every pytest run imports this plugin
    from vtrace_ovs.lab.topologies import load_topology  # noqa: PLC0415

    with Lab(load_topology(), tmp_path_factory.mktemp("lab") / "vpc") as running:
        yield running
