"""Fixtures of the OVN tests: test modules name this one in ``pytest_plugins``."""

from collections.abc import Iterator

import pytest
from ovn_judge import OvnBridge, bridge_of

from vtrace_ovs.lab.ovn import OvnLab


@pytest.fixture(scope="session")
def ovn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OvnLab]:
    """A whole OVN, up for the session; tests leave its configuration alone."""
    with OvnLab(tmp_path_factory.mktemp("ovn") / "lab") as running:
        yield running


@pytest.fixture(scope="session")
def bridges(ovn: OvnLab) -> dict[str, OvnBridge]:
    """br-int of every chassis, by the chassis' name."""
    return {name: bridge_of(chassis.ovs) for name, chassis in ovn.chassis.items()}
