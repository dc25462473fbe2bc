"""Turns faults by name into a broken lab, and heals back into exactly the lab that was."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, assert_never

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.catalogue import CATALOGUE
from vtrace_ovs.lab.faults.fault import Fault, FaultName, resolved
from vtrace_ovs.lab.faults.kinds import NodeDeed, OverlayEdit, ProgramEdit, Programmed, Way
from vtrace_ovs.lab.program import BridgeProgram
from vtrace_ovs.model.overlay import Overlay

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab


class Faults:
    """The faults in force in one lab, at most one of each name."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab
        self._active: dict[FaultName, Fault] = {}

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults in force, oldest first."""
        return tuple(self._active.values())

    def inject(self, fault: Fault) -> Fault:
        """Break it; returns the fault with every place filled in.

        Raises UsageError for a place that does not exist, a fault already in force or nothing to break, LabError when
        OVS refuses.
        """
        if fault.name in self._active:
            raise UsageError(f"fault {fault.name.value} is in force already; heal it first")
        kind = CATALOGUE[fault.name]
        fault = resolved(fault, self._lab.base, of_sender=kind.of_sender)
        self._active[fault.name] = fault
        try:
            match kind.way:
                case OverlayEdit() | ProgramEdit():
                    self._lab.apply(self.overlay())
                    self._lab.forget_neighbours()
                case NodeDeed():
                    pass
                case _:
                    assert_never(kind.way)
            deed = _deed(kind.way)
            if deed is not None:
                deed.inject(self._lab, fault)
        except BaseException:
            del self._active[fault.name]
            raise
        return fault

    def heal(self, name: FaultName) -> None:
        """Undo one fault. Raises UsageError when it is not in force."""
        fault = self._active.pop(name, None)
        if fault is None:
            raise UsageError(f"fault {name.value} is not in force")
        deed = _deed(CATALOGUE[name].way)
        if deed is not None:
            deed.heal(self._lab, fault)
        self._lab.apply(self.overlay())

    def heal_all(self) -> None:
        """Undo every fault, newest first."""
        for fault in reversed(self.active):
            self.heal(fault.name)

    @contextmanager
    def injected(self, fault: Fault) -> Iterator[Fault]:
        """Break it for the length of a ``with`` block."""
        done = self.inject(fault)
        try:
            yield done
        finally:
            self.heal(done.name)

    def overlay(self) -> Overlay:
        """The lab's own overlay with every fault in force that is an edit of it."""
        overlay = self._lab.base
        for fault in self.active:
            way = CATALOGUE[fault.name].way
            if isinstance(way, OverlayEdit):
                overlay = way.edit(overlay, fault)
        return overlay

    def edited(self, overlay: Overlay, server: str, programs: Mapping[str, BridgeProgram]) -> dict[str, BridgeProgram]:
        """What a controller installs in the bridges of a server or switch, with every fault in force that edits it."""
        found = dict(programs)
        for fault in self.active:
            way = CATALOGUE[fault.name].way
            if isinstance(way, ProgramEdit):
                for bridge, program in found.items():
                    found[bridge] = way.edit(Programmed(overlay, server, bridge, program), fault)
        return found


def _deed(way: Way) -> NodeDeed | None:
    """What is done to the nodes, if anything."""
    return way if isinstance(way, NodeDeed) else way.then
