"""Every test has its time: one that waits for what never comes fails then, and keeps no other waiting."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

TIME = 600.0


@pytest.fixture(autouse=True)
def its_time() -> Iterator[None]:
    def over(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"not over after {TIME:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, TIME)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)
