"""Every emulation test needs root and Mininet; fixtures come from the shipped pytest plugin."""

from pathlib import Path

import pytest

from vtrace_ovs.lab.network import Lab

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.emulation)


@pytest.fixture
def vtrace_ovsdb(lab: Lab) -> tuple[str, ...]:
    return lab.state().ovsdb_remotes
