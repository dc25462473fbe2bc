"""Turns ``multipath``, ``bundle`` and ``bundle_load`` of a dumped flow into actions (ovs-actions(7))."""

from vtrace_ovs.codecs.flow_text_words import PortNames, number, split, sub_field
from vtrace_ovs.model.actions import Action, Bundle, Multipath

_MULTIPATH_PARTS = 6
_ACTIVE_BACKUP = "active_backup"
_MEMBERS = ("members:", "slaves:")


def multipath(text: str) -> tuple[Action, ...] | None:
    """``FIELDS,BASIS,ALGORITHM,N_LINKS,ARGUMENT,DESTINATION``; None for anything else."""
    parts = [part.strip() for part in split(text)]
    destination = sub_field(parts[-1]) if len(parts) == _MULTIPATH_PARTS else None
    return None if destination is None else (Multipath(number(parts[3], 1 << 16), destination, b""),)


def bundle(text: str, names: PortNames, *, loads: bool) -> tuple[Action, ...] | None:
    """``FIELDS,BASIS,ALGORITHM,ofport,[DESTINATION,]members:PORT,…``; None for anything else. ``slaves`` is older."""
    parts = [part.strip() for part in split(text)]
    at = 5 if loads else 4
    if len(parts) <= at or parts[3] != "ofport" or not parts[at].startswith(_MEMBERS):
        return None
    destination = sub_field(parts[4]) if loads else None
    if loads and destination is None:
        return None
    first = parts[at].partition(":")[2]
    members = tuple(names.port(member) for member in (first, *parts[at + 1 :]) if member)
    return (Bundle(parts[2] == _ACTIVE_BACKUP, members, destination, b""),)
