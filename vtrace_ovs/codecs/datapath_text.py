"""Turns what ovs-vswitchd prints of its datapaths into counts of megaflows, masks and upcalls, and full zones."""

import re
from collections.abc import Iterable

from vtrace_ovs.model.cost import FullZone

_FLOWS = re.compile(r"^  flows: (\d+)$", re.MULTILINE)
_MISSED = re.compile(r"^  lookups: hit:\d+ missed:(\d+) ", re.MULTILINE)
_MASKS = re.compile(r"^  masks: hit:\d+ total:(\d+) ", re.MULTILINE)
_SUBTABLES = re.compile(r"\(Use count: (\d+),")
_ZONE = re.compile(r"^zone=(\d+),limit=(\d+),count=(\d+)$", re.MULTILINE)
_IN_USERSPACE = re.compile(r"^(netdev|dummy)@", re.MULTILINE)


def megaflows_and_upcalls(show: str) -> tuple[int | None, int | None]:
    """Megaflows now, and packets that missed all of them so far, summed over the datapaths of ``dpctl/show``."""
    return _sum(_FLOWS.findall(show)), _sum(_MISSED.findall(show))


def in_userspace(show: str) -> bool:
    """Whether any of the datapaths of ``dpctl/show`` is ovs-vswitchd's own."""
    return _IN_USERSPACE.search(show) is not None


def masks(show: str, subtables: str) -> int | None:
    """Megaflow masks: the kernel counts them in ``dpctl/show``, the userspace datapath has one subtable for each.

    ``subtables`` is the answer to ``dpif-netdev/subtable-lookup-prio-get``; releases before 2.17 do not count there.
    """
    counted = _MASKS.findall(show)
    if in_userspace(show):
        used = _SUBTABLES.findall(subtables)
        return _sum((*counted, *used)) if used else None
    return _sum(counted)


def full_zones(limits: str) -> tuple[FullZone, ...]:
    """The zones of ``dpctl/ct-get-limits`` that are at their limit; a limit of 0 is none."""
    zones = (FullZone(*map(int, numbers)) for numbers in _ZONE.findall(limits))
    return tuple(zone for zone in zones if zone.connections >= zone.limit > 0)


def _sum(numbers: Iterable[str]) -> int | None:
    found = [int(number) for number in numbers]
    return sum(found) if found else None
