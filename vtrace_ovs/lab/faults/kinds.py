"""Turns a way to break a lab, and what traffic suffers from it, into one value per fault: a FaultKind.

There are three ways, from the most to the least exact. An ``OverlayEdit`` is a mistake of the tenant or the control
plane that can be said in the topology's own words. A ``ProgramEdit`` is a mistake in what a controller installs. Both
are undone by installing what was there. A ``NodeDeed`` is anything else, and brings its own undoing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vtrace_ovs.lab.faults.fault import Fault
from vtrace_ovs.lab.program import BridgeProgram, FlowLine
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.model.overlay import Overlay
from vtrace_ovs.model.packet import IPAddress, IpFamily
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab


@dataclass(frozen=True, slots=True)
class NodeDeed:
    """Something done to the nodes of a running lab, and what undoes it. Both may raise UsageError and LabError."""

    inject: Callable[["Lab", Fault], None]
    heal: Callable[["Lab", Fault], None]


@dataclass(frozen=True, slots=True)
class OverlayEdit:
    """The overlay with a resolved fault in it. Raises UsageError when there is nothing to break."""

    edit: Callable[[Overlay, Fault], Overlay]
    then: NodeDeed | None = None


NOTHING_BROKEN = OverlayEdit(lambda overlay, _: overlay)
"""For traffic that suffers from itself."""


@dataclass(frozen=True, slots=True)
class Programmed:
    """What a controller is about to install in one bridge of one server or underlay switch (``server``)."""

    overlay: Overlay
    server: str
    bridge: str
    program: BridgeProgram

    @property
    def of_gateway(self) -> bool:
        """Whether the bridge is one of a gateway server."""
        return any(gateway.name == self.server for gateway in self.overlay.gateways())


@dataclass(frozen=True, slots=True)
class ProgramEdit:
    """What is installed instead, asked for every bridge of every server and underlay switch; most stay as they are."""

    edit: Callable[[Programmed, Fault], BridgeProgram]
    then: NodeDeed | None = None


Way = OverlayEdit | ProgramEdit | NodeDeed

EVERY_PROTOCOL = (TrafficProtocol.ICMP, TrafficProtocol.TCP, TrafficProtocol.UDP)
EVERY_FAMILY = (IpFamily.IPV4, IpFamily.IPV6)


@dataclass(frozen=True, slots=True)
class Symptom:
    """Traffic that suffers from a fault, in every protocol and family it is about, and the verdict it must get.

    ``place`` is the culprit's bridge (``cs3/br-int``) and ``table`` its table, None where none is blamed. ``vm`` and
    ``server`` are where the fault strikes if not at the default. ``addresses`` are what to send to where it is not
    the destination's own, ``sent_from`` what the sender sends from where that is not its own (one per family); ``both``
    says that the replies are traced too, ``reply_code`` what the reply's own verdict must say. ``rate`` is in
    packets/s, ``size`` in bytes of payload; ``packets`` is how many are traced where the usual number is too few to
    tell. ``underlay`` says that the underlay switches are in the inventory.
    """

    code: CauseCode
    disposition: Disposition
    place: str | None
    table: int | None = None
    source: str = "blue-web1"
    destination: str = "blue-db2"
    topology: str = "vpc"
    protocols: tuple[TrafficProtocol, ...] = EVERY_PROTOCOL
    families: tuple[IpFamily, ...] = EVERY_FAMILY
    vm: str | None = None
    server: str | None = None
    addresses: tuple[IPAddress, ...] = ()
    sent_from: tuple[IPAddress, ...] = ()
    both: bool = False
    reply_code: CauseCode | None = None
    listen: bool = True
    rate: float = 20.0
    size: int | None = None
    packets: int | None = None
    underlay: bool = False


@dataclass(frozen=True, slots=True)
class FaultKind:
    """How a fault is done, in a sentence and for real, and what it looks like (at least one symptom).

    ``of_sender``: it strikes the sender of the traffic, not its destination. ``selective``: it is about one protocol
    and family at a time, those of the Fault. ``places`` are the parts of a Fault that say where it strikes and how.
    """

    sentence: str
    way: Way
    symptoms: tuple[Symptom, ...]
    of_sender: bool = False
    selective: bool = False
    places: tuple[str, ...] = ("vm",)


def with_flows(program: BridgeProgram, *flows: FlowLine) -> BridgeProgram:
    """The program with these flows, in place of those with the same table, priority and match."""
    return BridgeProgram.of((*flows, *program.flows), program.meters, program.groups)


def without_flows(program: BridgeProgram, doomed: Callable[[FlowLine], bool]) -> BridgeProgram:
    """The program without the flows that are doomed."""
    return BridgeProgram.of((flow for flow in program.flows if not doomed(flow)), program.meters, program.groups)


def with_actions(program: BridgeProgram, about: Callable[[FlowLine], bool], actions: str) -> BridgeProgram:
    """The program whose flows of this kind have these actions."""
    return _edited(program, lambda flow: replace(flow, actions=actions) if about(flow) else flow)


def reworded(program: BridgeProgram, about: Callable[[FlowLine], bool], old: str, new: str) -> BridgeProgram:
    """The program whose flows of this kind say something else, in their matches and actions."""

    def changed(flow: FlowLine) -> FlowLine:
        return replace(flow, match=flow.match.replace(old, new), actions=flow.actions.replace(old, new))

    return _edited(program, lambda flow: changed(flow) if about(flow) else flow)


def _edited(program: BridgeProgram, edit: Callable[[FlowLine], FlowLine]) -> BridgeProgram:
    return replace(program, flows=tuple(edit(flow) for flow in program.flows))
