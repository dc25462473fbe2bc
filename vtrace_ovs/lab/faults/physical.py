"""Turns a running lab into one whose underlay loses packets."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import ALL, Fault, FaultName
from vtrace_ovs.lab.faults.kinds import (
    FaultKind,
    NodeDeed,
    ProgramEdit,
    Programmed,
    Symptom,
    with_flows,
    without_flows,
)
from vtrace_ovs.lab.numbering import CookieKind, cookie
from vtrace_ovs.lab.program import EMPTY_PROGRAM, BridgeProgram, FlowLine
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.lab.underlay_pipeline import ROUTES, tunnels_between
from vtrace_ovs.lab.wiring import UPLINK
from vtrace_ovs.model.overlay import Overlay, OverlayServer
from vtrace_ovs.model.packet import ADDRESS_FIELDS, family_of
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.namespaces import Namespace
    from vtrace_ovs.lab.network import Lab

LOWERED_MTU, USUAL_MTU = 1200, 1500
LARGE = 1250
"""So many bytes of payload fit the usual MTU behind all outer headers, and not the lowered one."""
_FILTER = "vtrace_fault"
_ACL = 200


def _link(lab: "Lab", fault: Fault) -> "tuple[tuple[Namespace, str], tuple[Namespace, str]]":
    """Both ends of the fault's cable: the switch, and its port, which is named after the other switch."""
    for one, other in lab.base.underlay.links:
        if f"{one}-{other}" == fault.link:
            return (lab.switches[one].namespace, other), (lab.switches[other].namespace, one)
    raise UsageError("the underlay has no link between switches")


def _link_set(*words: str) -> "Callable[[Lab, Fault], None]":
    """What says so of one end of the cable: a veth pair loses its carrier on both."""

    def done(lab: "Lab", fault: Fault) -> None:
        (switch, port), _ = _link(lab, fault)
        switch.run("ip", "link", "set", port, *words)

    return done


def _mtu(size: int) -> "Callable[[Lab, Fault], None]":
    def done(lab: "Lab", fault: Fault) -> None:
        for switch, port in _link(lab, fault):
            switch.run("ip", "link", "set", port, "mtu", str(size))

    return done


def _lossy(lab: "Lab", fault: Fault) -> None:
    """A hook of nftables where the kernel sends what the switch has put out: its AF_PACKET sockets come before.

    Packets are sent astray: one that is dropped here counts as not sent (ENOBUFS), and Open vSwitch sends it again, or
    gives up those it was to send with it.
    """
    (switch, port), _ = _link(lab, fault)
    hook = f"type filter hook egress device {port} priority 0"
    chance = "" if fault.percent == ALL else f"numgen random mod {ALL} < {fault.percent} "
    rule = f"{chance}fwd to lo"
    switch.run("nft", f"table netdev {_FILTER} {{\nchain out {{\n{hook}\n{rule}\n}}\n}}")


def _lossless(lab: "Lab", fault: Fault) -> None:
    (switch, _), _ = _link(lab, fault)
    switch.run("nft", "delete", "table", "netdev", _FILTER)


def _uplink(state: str) -> "Callable[[Lab, Fault], None]":
    def done(lab: "Lab", fault: Fault) -> None:
        lab.servers[_server(lab.base, fault).name].namespace.run("ip", "link", "set", UPLINK, state)

    return done


def _server(overlay: Overlay, fault: Fault) -> OverlayServer:
    if fault.server is None:
        raise UsageError(f"{fault.name.value}: on which server?")
    return overlay.server(fault.server)


def _without_route(programmed: Programmed, fault: Fault) -> BridgeProgram:
    """A switch, that of the server unless one is named, does not know the way to the server's VTEP."""
    server = _server(programmed.overlay, fault)
    if programmed.server != (fault.switch or server.switch):
        return programmed.program
    vtep = f"{ADDRESS_FIELDS[family_of(server.vtep)][1]}={server.vtep}"
    left = without_flows(programmed.program, lambda flow: vtep in flow.match.split(","))
    if left == programmed.program:
        raise UsageError(f"{fault.name.value}: {programmed.server} has no routes; the topology's switches learn")
    return left


def _denied(*, toward: bool) -> Callable[[Programmed, Fault], BridgeProgram]:
    """A switch denies the tunnels from every other server to this one, or from this one to every other."""

    def edited(programmed: Programmed, fault: Fault) -> BridgeProgram:
        server = _server(programmed.overlay, fault)
        if programmed.server != (fault.switch or server.switch):
            return programmed.program
        pairs = [
            (other, server) if toward else (server, other) for other in programmed.overlay.servers if other != server
        ]
        return with_flows(programmed.program, *_acl(programmed.overlay, pairs))

    return edited


def _acl(overlay: Overlay, pairs: list[tuple[OverlayServer, OverlayServer]]) -> Iterator[FlowLine]:
    for number, (one, other) in enumerate(pairs, 1):
        match = tunnels_between(overlay.underlay.encapsulation, one.vtep, other.vtep)
        yield FlowLine(ROUTES, _ACL, match, "drop", cookie(CookieKind.UNDERLAY, number, group=1))


def _member_lost(programmed: Programmed, fault: Fault) -> BridgeProgram:
    """A switch between others, the first unless one is named, forwards nothing."""
    underlay = programmed.overlay.underlay
    ends = {server.switch for server in programmed.overlay.servers}
    between = [switch for switch in underlay.switches if switch not in ends]
    bad = fault.switch or (between[0] if between else None)
    if bad is None:
        raise UsageError(f"{fault.name.value}: every underlay switch has servers; name one with --switch")
    return EMPTY_PROGRAM if programmed.server == bad else programmed.program


_DENIED = (CauseCode.UNDERLAY_DENY, Disposition.DROPPED)
_NO_ROUTE = (CauseCode.UNDERLAY_NO_ROUTE, Disposition.DROPPED)
_WIRE = (CauseCode.UNDERLAY_LOSS, Disposition.LOST_ON_WIRE)

FAULTS = {
    FaultName.UNDERLAY_LINK_DOWN: FaultKind(
        "a cable between two underlay switches is cut",
        NodeDeed(_link_set("down"), _link_set("up")),
        (Symptom(*_WIRE, "cs1/br-int"),),
        places=("link",),
    ),
    FaultName.UPLINK_DOWN: FaultKind(
        "the network interface of the destination's server is down",
        NodeDeed(_uplink("down"), _uplink("up")),
        (Symptom(*_WIRE, "gw1/br-int"),),
        places=("vm", "server"),
    ),
    FaultName.PFD_BLACKHOLE: FaultKind(
        "an underlay switch does not know the way to the destination's server",
        ProgramEdit(_without_route),
        (
            Symptom(*_WIRE, "cs1/br-int", topology="leaf-spine", destination="blue-web2"),
            Symptom(*_WIRE, "gw1/br-int", topology="leaf-spine"),
            Symptom(*_NO_ROUTE, "leaf2/leaf2", 0, topology="leaf-spine", underlay=True),
        ),
        places=("vm", "server", "switch"),
    ),
    FaultName.PFD_ACL: FaultKind(
        "an underlay switch denies tunnels from other servers to the destination's",
        ProgramEdit(_denied(toward=True)),
        (
            Symptom(*_WIRE, "gw1/br-int"),
            Symptom(*_DENIED, "pfd2/pfd2", 0, underlay=True),
            Symptom(*_DENIED, "leaf2/leaf2", 0, topology="leaf-spine", destination="blue-web2", underlay=True),
        ),
        places=("vm", "server", "switch"),
    ),
    FaultName.ONE_WAY_LOSS: FaultKind(
        "an underlay switch denies tunnels from the destination's server to others",
        ProgramEdit(_denied(toward=False)),
        (
            Symptom(CauseCode.REPLY_LOST, Disposition.LOST_ON_WIRE, "cs3/br-int", both=True),
            Symptom(
                *(CauseCode.REPLY_LOST, Disposition.DROPPED, "pfd2/pfd2", 0),
                protocols=(TrafficProtocol.UDP,),
                both=True,
                underlay=True,
            ),
        ),
        places=("vm", "server", "switch"),
    ),
    FaultName.PFD_MTU: FaultKind(
        "a cable between two underlay switches carries small packets only",
        NodeDeed(_mtu(LOWERED_MTU), _mtu(USUAL_MTU)),
        (
            Symptom(*_WIRE, "cs1/br-int", size=LARGE),
            Symptom(CauseCode.NONE, Disposition.DELIVERED, None),
        ),
        places=("link",),
    ),
    FaultName.UNDERLAY_LOSSY: FaultKind(
        "a cable between two underlay switches loses some of the packets",
        NodeDeed(_lossy, _lossless),
        (Symptom(*_WIRE, "cs1/br-int", packets=10),),
        places=("link", "percent"),
    ),
    FaultName.ECMP_MEMBER: FaultKind(
        "one of two switches between the leaves forwards nothing, so some connections are cut off",
        ProgramEdit(_member_lost),
        # All packets of one five-tuple take one way: only traffic of many connections meets both.
        (
            Symptom(
                *_WIRE,
                "cs1/br-int",
                topology="leaf-spine",
                destination="blue-web2",
                protocols=(TrafficProtocol.TCP,),
                packets=100,
            ),
            Symptom(
                *(*_NO_ROUTE, "spine1/spine1", 0),
                topology="leaf-spine",
                destination="blue-web2",
                protocols=(TrafficProtocol.TCP,),
                packets=100,
                underlay=True,
            ),
        ),
        places=("switch",),
    ),
}
