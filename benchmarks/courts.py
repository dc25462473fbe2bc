"""Turns a way to start a judge into one judge after another: a new Open vSwitch when the last one fell silent."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from vtrace_ovs.lab.daemons import OvsInstance


class Judging(Protocol):
    """What judges with an Open vSwitch of its own."""

    ovs: OvsInstance


J = TypeVar("J", bound=Judging)


class Courts(Generic[J]):
    """One judge after another."""

    judge: J

    def __init__(self, directory: Path, opening: Callable[[Path], AbstractContextManager[J]]) -> None:
        self._directory = directory
        self._opening = opening
        self._opened = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.reopen()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def reopen(self) -> None:
        """Begin with a fresh Open vSwitch."""
        if self._opened:
            self.judge.ovs.kill("ovs-vswitchd")
        self._open.close()
        self._opened += 1
        self.judge = self._open.enter_context(self._opening(self._directory / str(self._opened)))
