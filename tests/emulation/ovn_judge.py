"""Turns a running OVN into what the walker reads of its bridges, and asks Open vSwitch itself about packets."""

import sys
from collections import Counter
from dataclasses import dataclass, field

from openflow_peer import OpenFlowPeer
from ovn_corpus import CT_STATES, LENGTH, OUTSIDE, Packet
from ovn_trace import Reading, Search, read

from vtrace_ovs.codecs import openflow
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.lab.ovn import INTEGRATION_BRIDGE
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.ovsdb.ofproto_trace import ofproto_trace
from vtrace_ovs.walker.entry import Lookup
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import CT_NEW, PacketState
from vtrace_ovs.walker.visit import Stop, Visit

DEADLINE = 60.0
OPEN = frozenset({None, DropShape.UNSUPPORTED})


@dataclass
class Tally:
    """How many packets were compared, and what the walker left open, by name.

    ``claimed`` packets were answered whole, ``punted`` ones alike up to a controller; of ``hashed`` and ``simulated``
    ones OVS itself does not tell the rest.
    """

    packets: int = 0
    claimed: int = 0
    punted: int = 0
    hashed: int = 0
    simulated: int = 0
    longest: int = 0
    open: Counter[str] = field(default_factory=Counter)

    def print(self, title: str) -> None:
        alike = f"{self.claimed} answered alike, {self.punted} alike up to ovn-controller, none differently"
        lines = [f"\n{title}: {self.packets} packets, {alike}; left open:"]
        lines += [f"  {count:5}  {name}" for name, count in self.open.most_common()]
        lines.append(f"  {self.hashed:5}  ofproto/trace itself ends at a select group")
        lines.append(f"  {self.simulated:5}  ofproto/trace translates an established connection as if it were new")
        sys.stdout.write("\n".join([*lines, ""]))


@dataclass(frozen=True)
class OvnBridge:
    """br-int of one chassis, as it was read, and its ports by name."""

    ovs: OvsInstance
    view: BridgeView
    ports: dict[str, int]

    def port(self, name: str) -> int:
        """The port of a VM; OUTSIDE is the patch port to the physical network; names are cut at 15 characters."""
        return self.ports["patch-br-int-to" if name == OUTSIDE else name]

    def evaluate(self, state: PacketState, ct_state: int) -> Visit:
        """The walker's answer; like OVS it is to take the marks of older connections to be 0."""
        return evaluate(self.view, state, LENGTH, ct_state, 0)

    def trace(self, text: str, ct_state: int) -> tuple[Reading, str]:
        """Open vSwitch's own answer, read and as it was printed."""
        answer = ofproto_trace(self.ovs.directory, INTEGRATION_BRIDGE, text, DEADLINE, CT_STATES[ct_state])
        return read(answer, INTEGRATION_BRIDGE), answer

    def compare(self, packet: Packet, text: str, state: PacketState, tally: Tally) -> Visit:
        """Fail unless the walker says what OVS says, as far as it says anything."""
        visit = self.evaluate(state, packet.ct_state)
        theirs, answer = self.trace(text, packet.ct_state)
        ours, outputs = searches(visit), [emission.port for emission in visit.emissions]
        _take_their_choice(visit, ours, theirs.searches)
        undecided = [stop for stop in visit.stops if stop.shape in OPEN]
        tally.packets += 1
        tally.open.update(stop.detail or "" for stop in undecided)
        tally.longest = max(tally.longest, len(ours))
        if undecided:
            known = certain(visit, undecided[0])
            same = (ours[:known], outputs) == (theirs.searches[:known], theirs.outputs[: len(outputs)])
            tally.punted += known == len(theirs.searches) and outputs == theirs.outputs
        elif theirs.translated is not None and not packet.ct_state & CT_NEW:
            tally.simulated += 1
            same = ours[: theirs.translated] == theirs.searches[: theirs.translated]
        elif theirs.hashed:
            tally.hashed += 1
            same = ours[: len(theirs.searches)] == theirs.searches
        else:
            tally.claimed += 1
            same = (ours, outputs) == (theirs.searches, theirs.outputs)
        assert same, f"{packet}\n{ours} {outputs}\n{theirs}\n{answer}"
        return visit


def _take_their_choice(visit: Visit, ours: list[Search], theirs: list[Search]) -> None:
    """Of flows of equal priority that all match, OpenFlow lets a switch take any: the walker says so, and takes one."""
    for at, (found, our, their) in enumerate(zip(visit.searches, ours, theirs, strict=False)):
        if found.step.ambiguous and our[:2] == their[:2]:
            ours[at] = their


def searches(visit: Visit) -> list[Search]:
    return [_search(found) for found in visit.searches]


def _search(found: Lookup) -> Search:
    flow = None if found.entry is None else found.entry.flow
    if flow is None:
        return found.table_id, None, 0, None
    return found.table_id, flow.priority, flow.cookie, flow.match.taken_apart()


def certain(visit: Visit, stop: Stop) -> int:
    """How many of the searches come before the first the walker leaves open."""
    first = len(stop.found) - 1  # earlier ones may have found the same flow
    at = next(at for at in range(first, len(visit.searches)) if visit.searches[at] is stop.found[-1])
    return at if visit.searches[at].entry is None else at + 1


def bridge_of(ovs: OvsInstance) -> OvnBridge:
    """Read br-int as the product does: over its management socket, through our codecs."""
    peer = OpenFlowPeer(ovs.management_socket(INTEGRATION_BRIDGE))
    ports = openflow.ports(peer.multipart(openflow.port_desc_request).body)
    groups = openflow.groups(peer.multipart(openflow.group_desc_request).body)
    tables = BridgeTables(peer.dpid, 0.0, peer.flows(), groups, ports=ports)
    peer.close()
    return OvnBridge(ovs, BridgeView(tables), {port.name: port.ofport for port in ports})
