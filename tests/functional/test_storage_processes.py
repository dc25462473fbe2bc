"""Several processes share one database; a process that may not write says so; an installed package finds its schema."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vtrace_ovs
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.storage.store import Store

DEADLINE = 60.0
HALF = 100
PACKAGE = Path(vtrace_ovs.__file__).resolve().parent

ADD_TASKS = """
import sys
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.storage.store import Store
with Store.open(sys.argv[1]) as store:
    for number in sys.argv[2:]:
        for _ in range(int(number)):
            store.add_task(TraceRequest(Filter("tcp", protocol=6)), 1.0)
        sys.stdin.readline()
"""
OPEN = """
import sys
from vtrace_ovs.errors import StorageError
from vtrace_ovs.storage.store import Store
try:
    Store.open(sys.argv[1]).close()
except StorageError as error:
    print(error)
"""


def as_an_ordinary_user() -> list[str]:
    """What makes file permissions count for root as well."""
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def opened_by_an_ordinary_user(path: Path) -> str:
    command = [*as_an_ordinary_user(), sys.executable, "-c", OPEN, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE).stdout.strip()


def test_a_reader_sees_tasks_while_another_process_adds_them(tmp_path: Path) -> None:
    path = tmp_path / "vtrace.db"
    with Store.open(path) as store:
        words = [sys.executable, "-c", ADD_TASKS, str(path), str(HALF), str(HALF)]
        claimed: list[int] = []
        with subprocess.Popen(words, stdin=subprocess.PIPE, text=True) as writer:
            for expected in (HALF, 2 * HALF):
                deadline = time.monotonic() + DEADLINE
                while len(claimed) < expected and time.monotonic() < deadline:
                    claimed += [task.id for task in store.claim_new_tasks()]
                assert len(store.tasks()) == expected
                assert writer.stdin is not None
                print(file=writer.stdin, flush=True)
            assert writer.wait(DEADLINE) == 0
        assert claimed == list(range(1, 2 * HALF + 1))


def test_processes_that_create_the_database_at_once_agree_on_one(tmp_path: Path) -> None:
    path = tmp_path / "vtrace.db"
    words = [sys.executable, "-c", ADD_TASKS, str(path), "20"]
    writers = [subprocess.Popen(words, stdin=subprocess.DEVNULL) for _ in range(4)]
    assert [writer.wait(DEADLINE) for writer in writers] == [0, 0, 0, 0]
    with Store.open(path, create=False) as store:
        assert len(store.tasks()) == 80


@pytest.mark.parametrize(
    ("directory_mode", "file_mode", "words"),
    [
        (0o700, 0o400, "is read-only: make the file and its directory writable"),
        (0o500, 0o600, "is read-only: make the file and its directory writable"),
        (0o700, 0o000, "cannot be read (Permission denied): check its permissions"),
    ],
)
def test_a_database_one_may_not_write_is_refused(
    tmp_path: Path, directory_mode: int, file_mode: int, words: str
) -> None:
    path = tmp_path / "place" / "vtrace.db"
    path.parent.mkdir()
    Store.open(path).close()
    path.chmod(file_mode)
    path.parent.chmod(directory_mode)
    message = opened_by_an_ordinary_user(path)
    path.parent.chmod(0o700)
    assert message.startswith(f"database {path} ")
    assert words in message


def test_a_database_is_not_created_where_one_may_not_write(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o500)
    assert "cannot be opened" in opened_by_an_ordinary_user(place / "vtrace.db")


def test_an_installed_package_brings_its_schema_with_it(tmp_path: Path) -> None:
    """The wheel has ``migrations/`` as ``vtrace_ovs/_migrations`` (force-include), and nothing beside the package."""
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "site" / "vtrace_ovs", ignore=leave_out)
    shutil.copytree(PACKAGE.parent / "migrations", tmp_path / "site" / "vtrace_ovs" / "_migrations", ignore=leave_out)
    path = tmp_path / "vtrace.db"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    words = [sys.executable, "-c", ADD_TASKS, str(path), "1"]
    subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, check=True, timeout=DEADLINE)
    with Store.open(path, create=False) as store:
        assert [task.request for task in store.tasks()] == [TraceRequest(Filter("tcp", protocol=6))]
