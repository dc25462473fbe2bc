"""Turns flows that unknown bits keep open into the reason a walk stops there."""

from collections.abc import Sequence

from vtrace_ovs.walker import layout
from vtrace_ovs.walker.index import Entry


def unknown_fields(entries: Sequence[Entry], unknown: int) -> str:
    """``match on ct_mark, whose value is not known``, naming every field that keeps one of these flows open."""
    names = sorted(
        masked.field.name
        for masked in {masked for entry in entries for masked in entry.flow.match.fields}
        if layout.packed_match((masked,))[1] & unknown
    )
    return f"match on {', '.join(dict.fromkeys(names))}, whose value is not known"
