"""Turns what a walk cannot decide into its reason: an action nobody modelled, or a value nobody knows."""

from collections.abc import Sequence
from dataclasses import dataclass

from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An action this walker does not model, by name; ``note`` says what it may do."""

    name: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something the walk would have to know; ``reason`` is a clause for the operator."""

    reason: str


Undecided = Unsupported | Unknown


def unknown_fields(entries: Sequence[Entry], unknown: int) -> Unknown:
    """Names every field that keeps one of these flows open: ``the flows here match on ct_mark, …``."""
    names = sorted(
        masked.field.name
        for masked in {masked for entry in entries for masked in entry.flow.match.fields}
        if layout.packed_match((masked,))[1] & unknown
    )
    return Unknown(f"the flows here match on {', '.join(dict.fromkeys(names))}, and its value is not known")
