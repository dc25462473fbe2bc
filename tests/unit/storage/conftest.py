"""An empty store in a file of its own, and a task in it to hang evidence on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import IpProtocol
from vtrace_ovs.model.task import Task, TraceRequest
from vtrace_ovs.storage.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vtrace.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def request_for_tcp() -> TraceRequest:
    return TraceRequest(Filter("tcp", protocol=IpProtocol.TCP))


@pytest.fixture
def task(store: Store, request_for_tcp: TraceRequest) -> Task:
    return store.add_task(request_for_tcp, at=1000.0)
