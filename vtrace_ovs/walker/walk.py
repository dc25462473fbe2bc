"""Turns a packet at a port into its predicted Trajectory: bridge after bridge, across patch ports and tunnels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from vtrace_ovs.model.packet import Headers, IPAddress, Tunnel
from vtrace_ovs.model.places import Onward
from vtrace_ovs.model.topology import BridgeId, PortKind
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Origin, Trajectory
from vtrace_ovs.walker import frame
from vtrace_ovs.walker.branches import Branch, in_reading_order
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.guidance import Departure, guided
from vtrace_ovs.walker.guide import Guide
from vtrace_ovs.walker.hops import Arrival, left_with, output_hop, stopped_hop, stopping
from vtrace_ovs.walker.layout import UNMODELLED
from vtrace_ovs.walker.network import BridgeView, Network
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.tunnels import left_through
from vtrace_ovs.walker.visit import Emission, Visit


@dataclass(frozen=True, slots=True)
class WalkSettings:
    """How far to walk and what to assume.

    ``max_hops`` bounds one branch: a longer way is a loop; ``max_branches`` bounds the bridge visits of one walk.
    ``assumed_ct_state`` (OVS ``ct_state`` bits, e.g. 0x21 for ``+trk+new``) is used where no log says what connection
    tracking made of the packet; None assumes nothing, and the walk ends as unknown there. ``assumed_ct_mark`` is the
    mark of connections that are not new, in every zone; no log tells it. ``near_misses`` is how many to name at a drop.
    """

    max_hops: int = 64
    max_branches: int = 1024
    assumed_ct_state: int | None = None
    near_misses: int = 3
    assumed_ct_mark: int | None = None


@dataclass(frozen=True, slots=True)
class WalkStart:
    """One packet as it enters the overlay.

    ``ct_state`` is what ``bridge``'s connection tracking was logged to say of it, 0 when nothing was logged;
    ``ct_states`` what was logged at later hops, by bridge and hop index, and ``departures`` how the packet was seen to
    leave a bridge; where the tables do not decide it, the walk takes what alone fits that.
    """

    task_id: int
    packet_id: str
    occurrence: int
    bridge: BridgeId
    in_port: int
    headers: Headers
    tunnel: Tunnel | None = None
    ct_state: int = 0
    ct_states: Mapping[tuple[BridgeId, int], int] = field(default_factory=dict)
    departures: Mapping[tuple[BridgeId, int], frozenset[Departure]] = field(default_factory=dict)


DEFAULT_SETTINGS = WalkSettings()


def walk(network: Network, start: WalkStart, settings: WalkSettings = DEFAULT_SETTINGS) -> Trajectory:
    """Predict the way of one packet. Pure: the same network, start and settings give the same trajectory.

    Every output is a branch. Hops are in depth-first order, and the branch that counts most is last: handed to a port
    before exited, unknown, on the wire, looped and dropped; of several handed to ports, the first to a VM's port. The
    trajectory's ending is that branch's.
    """
    state = frame.packed_state(start.headers, start.in_port, start.tunnel)
    journey = _Journey(network, start, settings)
    first = _Entering(start.bridge, state, start.tunnel, start.headers, 1, state.packed, frozenset())
    hops = in_reading_order(journey.visit(first))
    return Trajectory(
        task_id=start.task_id,
        packet_id=start.packet_id,
        occurrence=start.occurrence,
        origin=Origin.PREDICTED,
        five_tuple=start.headers.five_tuple,
        hops=hops,
        ending=hops[-1].ending or Ending.UNKNOWN,
    )


class _Entering(NamedTuple):
    """A packet about to enter a bridge, ``packed`` as it enters; ``seen`` are the (bridge, packed) pairs before."""

    bridge: BridgeId
    state: PacketState
    tunnel: Tunnel | None
    headers: Headers
    dscp_mark: int
    packed: int
    seen: frozenset[tuple[BridgeId, int]]


class _Journey:
    """One walk in progress."""

    def __init__(self, network: Network, start: WalkStart, settings: WalkSettings) -> None:
        self.network = network
        self.start = start
        self.settings = settings
        self.visits = 0

    def visit(self, entering: _Entering) -> tuple[Branch, ...]:
        """Every branch of the packet's way from one bridge on."""
        self.visits += 1
        view = self.network.views.get(entering.bridge)
        if entering.seen and (entering.bridge, entering.packed) in entering.seen:
            return (self._ended(entering, Ending.LOOPED, "the same packet was at the same port before"),)
        if entering.dscp_mark > self.settings.max_hops:
            return (self._ended(entering, Ending.LOOPED, f"more than {self.settings.max_hops} hops"),)
        if self.visits > self.settings.max_branches:
            return (self._ended(entering, Ending.UNKNOWN, f"more than {self.settings.max_branches} bridge visits"),)
        if view is None:
            return (self._ended(entering, Ending.UNKNOWN, f"the tables of {entering.bridge} are not known"),)
        if not view.receives(entering.state.in_port):
            why = f"port {entering.state.in_port} is set to no-receive, and Open vSwitch drops what comes by it"
            return (self._ended(entering, Ending.UNKNOWN, why),)
        return self._through(entering, view)

    def _through(self, entering: _Entering, view: BridgeView) -> tuple[Branch, ...]:
        arrival = Arrival(
            entering.bridge,
            view,
            entering.dscp_mark,
            entering.state.in_port,
            entering.tunnel,
            entering.headers,
            entering.packed,
        )
        seen = self.start.departures.get((entering.bridge, entering.dscp_mark))
        if seen is None:
            outcome, note = self._evaluate(entering, view), None
        else:
            outcome, note = guided(
                lambda guide: self._evaluate(entering, view, guide),
                lambda emission: left_with(arrival, emission),
                seen,
            )
        branches = [self._output(entering, arrival, emission) for emission in outcome.emissions]
        branches += [Branch(stopped_hop(arrival, stop, self.settings.near_misses)) for stop in stopping(outcome)]
        return tuple(branches) if note is None else tuple(branch.noted(note) for branch in branches)

    def _evaluate(self, entering: _Entering, view: BridgeView, guide: Guide | None = None) -> Visit:
        """``entering``'s packet is used up, unless this is one of several trials."""
        state = entering.state if guide is None else entering.state.copy()
        length, mark = entering.headers.length, self.settings.assumed_ct_mark
        return evaluate(view, state, length, self._ct_state(entering), mark, guide)

    def _ct_state(self, entering: _Entering) -> int | None:
        start = self.start
        if start.ct_state and entering.bridge == start.bridge:
            return start.ct_state
        if not start.ct_states:  # for most packets; to hash a BridgeId takes its time
            return self.settings.assumed_ct_state
        return start.ct_states.get((entering.bridge, entering.dscp_mark), self.settings.assumed_ct_state)

    @staticmethod
    def _ended(entering: _Entering, ending: Ending, note: str) -> Branch:
        hop = Hop(
            bridge=entering.bridge,
            dscp_mark=entering.dscp_mark,
            in_port=entering.state.in_port,
            arrived_by=entering.tunnel,
            headers_in=entering.headers,
            ending=ending,
            note=note,
        )
        return Branch(hop)

    def _output(self, entering: _Entering, arrival: Arrival, emission: Emission) -> Branch:
        port = self.network.places.port(entering.bridge, emission.port)
        tunnel = None
        if port is not None and port.kind is PortKind.TUNNEL:
            tunnel = left_through(self.network.places, entering.bridge, port, emission.state)
        onward = self.network.places.onward(entering.bridge, emission.port, tunnel)
        match onward.kind:
            case None | PortKind.EDGE:
                hop = output_hop(arrival, emission, tunnel, Ending.HANDED_TO_PORT)
                return Branch(hop, names_vm=port is not None and port.vm is not None)
            case PortKind.LOCAL:
                return Branch(output_hop(arrival, emission, tunnel, Ending.EXITED))
            case PortKind.PATCH:
                return self._through_patch(entering, output_hop(arrival, emission), emission, onward)
            case PortKind.TUNNEL:
                return self._through_tunnel(entering, output_hop(arrival, emission, tunnel), emission, onward)

    def _through_patch(self, entering: _Entering, hop: Hop, emission: Emission, onward: Onward) -> Branch:
        if not onward.arrivals:
            return Branch(replace(hop, ending=Ending.UNKNOWN, note="the patch port's peer is not in the inventory"))
        bridge, in_port = onward.arrivals[0]
        state = emission.state.copy()
        state.cross_patch(in_port)
        return Branch(hop, self._next(entering, hop, bridge, state, None))

    def _through_tunnel(self, entering: _Entering, hop: Hop, emission: Emission, onward: Onward) -> Branch:
        destination = onward.destination
        if destination is None:
            note = "no tunnel destination is set"
            return Branch(replace(hop, ending=Ending.DROPPED, drop=DropShape.NO_OUTPUT, note=note))
        if entering.tunnel is not None and destination == entering.tunnel.destination:
            note = "Open vSwitch does not tunnel to the address the packet came in by"
            return Branch(replace(hop, ending=Ending.DROPPED, drop=DropShape.OUTPUT_TO_INGRESS, note=note))
        if onward.node is None:
            return Branch(
                replace(hop, ending=Ending.UNKNOWN, note=f"no server of the inventory has VTEP {destination}")
            )
        if not onward.arrivals:
            return Branch(replace(hop, ending=Ending.ON_WIRE, note=_refusal(onward.node, hop.left_by, destination)))
        bridge, in_port = onward.arrivals[0]
        state = PacketState(emission.state.packed & frame.FRAME, emission.state.unknown & frame.FRAME | UNMODELLED)
        state.labels, state.covered = emission.state.labels, emission.state.covered
        state.enter_port(in_port)
        if hop.left_by is not None:
            frame.enter_tunnel(state, hop.left_by)
        return Branch(hop, self._next(entering, hop, bridge, state, hop.left_by))

    def _next(
        self, entering: _Entering, hop: Hop, bridge: BridgeId, state: PacketState, tunnel: Tunnel | None
    ) -> tuple[Branch, ...]:
        headers = hop.headers_out or entering.headers
        mark, seen = entering.dscp_mark + 1, entering.seen | {(entering.bridge, entering.packed)}
        return self.visit(_Entering(bridge, state, tunnel, headers, mark, state.packed, seen))


def _refusal(node: str, tunnel: Tunnel | None, destination: IPAddress) -> str:
    vni = "this packet" if tunnel is None else f"VNI {tunnel.vni}"
    return f"no tunnel port of {node} ({destination}) accepts {vni}"
