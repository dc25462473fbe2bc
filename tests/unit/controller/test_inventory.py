import threading
from collections.abc import Callable

from vtrace_ovs.controller.inventory import InventoryWatch
from vtrace_ovs.errors import OvsdbError, StorageError
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Topology

DEADLINE = 60.0
Reading = tuple[Topology, tuple[str, ...]]


def topology(*names: str) -> Topology:
    return Topology(
        tuple(Node(name, f"unix:{name}.sock", ()) for name in names),
        tuple(Bridge(BridgeId(name, "br"), 1, BridgeRole.VSWITCH, (), ManagementSocket("")) for name in names),
    )


class Watched:
    """An inventory that is read from a script, and what the watch said of it. The last reading repeats."""

    def __init__(self, *script: Reading | Exception, told: Callable[[], None] = lambda: None) -> None:
        self._script = list(script)
        self._told = told
        self.changes: list[Reading] = []
        self.errors: list[Exception] = []
        self.exhausted = threading.Event()
        self.failed = threading.Event()
        self.watch = InventoryWatch(self._read, 0.001, self._changed, self._failed)

    def _read(self) -> Reading:
        if len(self._script) == 1:
            self.exhausted.set()
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, Exception):
            raise step
        return step

    def _changed(self, seen: Topology, problems: tuple[str, ...]) -> None:
        self.changes.append((seen, problems))
        self._told()

    def _failed(self, error: Exception) -> None:
        self.errors.append(error)
        self.failed.set()

    def run(self) -> "Watched":
        """Watch until the script is through."""
        self.watch.start()
        assert self.exhausted.wait(DEADLINE)
        self.watch.close()
        return self


def test_only_changes_are_told() -> None:
    first, second = (topology("a"), ()), (topology("a", "b"), ())
    assert Watched(first, first, second, second, second).run().changes == [first, second]


def test_a_first_reading_that_fails_is_fatal() -> None:
    watched = Watched(OvsdbError("nobody there"))
    watched.watch.start()
    assert watched.failed.wait(DEADLINE)
    watched.watch.close()
    assert [str(error) for error in watched.errors] == ["nobody there"]


def test_later_failures_keep_what_is_known() -> None:
    known = (topology("a"), ())
    watched = Watched(known, OvsdbError("gone"), OvsdbError("gone"), known).run()
    assert (watched.changes, watched.errors) == ([known], [])


def test_a_server_that_cannot_be_read_for_a_while_keeps_its_bridges() -> None:
    both, one, why = topology("a", "b"), topology("a"), ("unix:b.sock: no answer in time",)
    watched = Watched((both, ()), (one, why), (one, why)).run()
    assert watched.changes == [(both, ()), (both, why)]


def test_a_server_that_is_no_longer_there_takes_its_bridges_along() -> None:
    both, one = topology("a", "b"), topology("a")
    assert Watched((both, ()), (one, ()), (one, ())).run().changes[-1] == (one, ())


def test_a_change_that_cannot_be_kept_is_not_silent() -> None:
    def full() -> None:
        raise StorageError("disk full")

    watched = Watched((topology("a"), ()), told=full)
    watched.watch.start()
    assert watched.failed.wait(DEADLINE)
    watched.watch.close()
    assert str(watched.errors[0]) == "disk full"
