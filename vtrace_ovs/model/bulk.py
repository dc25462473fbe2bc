"""Turns the building of very many values at once into one that the cycle collector does not interrupt."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Flows hold no cycles, yet the cycle collector takes half the time of building 100,000 of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
