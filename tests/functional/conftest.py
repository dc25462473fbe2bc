"""A real ovsdb-server and ovs-vswitchd with the dummy datapath, one per test, no root needed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openflow_peer import OpenFlowPeer
from remote_overlay import Overlay

from vtrace_ovs.lab.daemons import OvsInstance


@pytest.fixture
def ovs(tmp_path: Path) -> Iterator[OvsInstance]:
    instance = OvsInstance(tmp_path / "ovs", dummy=True)
    instance.start()
    yield instance
    instance.stop()


@pytest.fixture
def peer(ovs: OvsInstance) -> Iterator[Callable[[str], OpenFlowPeer]]:
    """``peer("br0")`` opens an OpenFlow connection to a bridge of ``ovs``; closed when the test ends."""
    opened: list[OpenFlowPeer] = []

    def connect(bridge: str) -> OpenFlowPeer:
        opened.append(OpenFlowPeer(ovs.management_socket(bridge)))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path)
