"""Every emulation test needs root and Mininet; fixtures come from the shipped pytest plugin."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from vtrace_program import Vtrace, differences, fingerprints, vtrace_of

from vtrace_ovs.lab.network import Lab

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.emulation)


@pytest.fixture
def vtrace_ovsdb(lab: Lab) -> tuple[str, ...]:
    return lab.state().ovsdb_remotes


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture
def program(lab: Lab, tmp_path: Path, bytecode: Path) -> Vtrace:
    """The ``vtrace`` program on the lab's servers, with a database of its own."""
    return vtrace_of(lab, tmp_path, bytecode)


@pytest.fixture
def unchanged(lab: Lab) -> Iterator[None]:
    """What every VFD carries is the same before and after the test."""
    before = fingerprints(lab)
    yield
    assert differences(before, fingerprints(lab)) == []
