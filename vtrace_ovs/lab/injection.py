"""Turns faults by name into a broken lab, and heals back into exactly the lab that was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults import Fault, FaultName, resolved, with_fault

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

        Raises UsageError for a place that does not exist or a fault already in force, LabError when OVS refuses.
        """
        if fault.name in self._active:
            raise UsageError(f"fault {fault.name.value} is in force already; heal it first")
        fault = resolved(fault, self._lab.base)
        overlay = with_fault(self._lab.overlay, fault)
        if fault.name is FaultName.VSWITCHD_DEAD and fault.server is not None:
            self._lab.servers[fault.server].ovs.kill("ovs-vswitchd")
        elif fault.name is FaultName.UNDERLAY_LINK_DOWN:
            self._set_link(fault, "down")
        else:
            self._lab.apply(overlay)
            self._lab.forget_neighbours()
        self._active[fault.name] = fault
        return fault

    def heal(self, name: FaultName) -> None:
        """Undo one fault. Raises UsageError when it is not in force."""
        fault = self._active.pop(name, None)
        if fault is None:
            raise UsageError(f"fault {name.value} is not in force")
        overlay = self._lab.base
        for other in self._active.values():
            overlay = with_fault(overlay, other)
        if fault.name is FaultName.VSWITCHD_DEAD and fault.server is not None:
            self._lab.servers[fault.server].restart_vswitchd(overlay)
        elif fault.name is FaultName.UNDERLAY_LINK_DOWN:
            self._set_link(fault, "up")
        else:
            self._lab.apply(overlay)

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

    def _set_link(self, fault: Fault, state: str) -> None:
        """One end is enough: a veth pair loses its carrier on both. Each port is named after the other switch."""
        for one, other in self._lab.base.underlay.links:
            if f"{one}-{other}" == fault.link:
                self._lab.switches[one].namespace.run("ip", "link", "set", other, state)
                return
        raise UsageError("the underlay has no link between switches")
