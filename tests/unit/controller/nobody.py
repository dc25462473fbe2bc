"""Turns a database and an inventory into the surroundings of a controller without a bridge: nobody is ever asked."""

from collections.abc import Sequence

from vtrace_ovs.controller.settings import Surroundings
from vtrace_ovs.model.datapath import DatapathReading
from vtrace_ovs.model.topology import Bridge, Topology
from vtrace_ovs.session.boundary import InventorySource
from vtrace_ovs.storage.store import Store

NOBODY: tuple[Topology, tuple[str, ...]] = (Topology(), ())


class NoRemote:
    """No bridge is remote here."""

    def attach(self, ovsdb: str, bridges: Sequence[str], target: str) -> None:
        raise AssertionError((ovsdb, bridges, target))

    def detach(self, ovsdb: str, target: str | None, bridges: Sequence[str] | None = None) -> tuple[str, ...]:
        raise AssertionError((ovsdb, target, bridges))


def unobserved(bridge: Bridge, *, zones: bool) -> None:
    """No server is observed here."""
    raise AssertionError((bridge, zones))


def surroundings(store: Store, inventory: InventorySource = lambda: NOBODY) -> Surroundings:
    return Surroundings(
        store,
        inventory,
        lambda _: None,
        NoRemote(),
        lambda *_: True,
        unobserved,
        lambda _: (),
        lambda _, question: DatapathReading(question, 0.0),
    )
