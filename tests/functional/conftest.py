"""A real ovsdb-server and ovs-vswitchd with the dummy datapath, one per test, no root needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vtrace_ovs.lab.daemons import OvsInstance


@pytest.fixture
def ovs(tmp_path: Path) -> Iterator[OvsInstance]:
    instance = OvsInstance(tmp_path / "ovs", dummy=True)
    instance.start()
    yield instance
    instance.stop()
