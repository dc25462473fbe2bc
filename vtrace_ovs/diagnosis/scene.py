"""Turns what is known around the traced packets (inventory, profiles, counters, lost copies) into one value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from vtrace_ovs.model.cost import FullZone
from vtrace_ovs.model.datapath import DatapathReading
from vtrace_ovs.model.flow import FlowKey, MeterEntry
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.postcard import DownPort, Passage, Postcard
from vtrace_ovs.model.profile import GENERIC_PROFILE, PipelineProfile
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.tunnel_reach import TunnelReach


@dataclass(frozen=True, slots=True)
class MeterReading:
    """A production meter and what it let in and dropped while the task ran (packets)."""

    bridge: BridgeId
    entry: MeterEntry
    packets_in: int
    packets_dropped: int


@dataclass(frozen=True, slots=True)
class CopyTally:
    """The copies of traced packets that a VFD took while the task ran and our meter let through, by its own count.

    ``lost`` of them never arrived here: evidence that is missing, not packets (idea N3).
    """

    taken: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class FlowLife:
    """What became of a flow while the task ran: when it was added, changed, or removed, whichever was last.

    In seconds after tracing began; from and until where that is not known better.
    """

    added: float | None = None
    changed: tuple[float, float] | None = None
    removed: tuple[float, float] | None = None


Spells = tuple[tuple[float, float], ...]
"""Stretches of time: from, until (Unix seconds)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a verdict may rest on besides the packet's own way.

    ``unreachable``: VFDs whose ovs-vswitchd does not answer, with the reason as a clause ("ovs-vswitchd does not
    answer on its management socket"). ``unobserved``: VFDs that run but are not instrumented, with the reason; a
    packet that goes there is never called lost. ``disturbed``: VFDs where somebody changed flows of ours, with what was
    done as a clause. ``unlogged``: production flows at which a traced packet may end or
    leave without a copy. ``copies``: how many copies each VFD took, and how many of them never came; in the spells of
    ``uncounted`` that could not be told. ``copies_capped``: those our own meter did not let through; ``overflowed``:
    those lost in full queues per server, of any of its VFDs.
    ``full_zones``: the connection tracking zones of servers that hold as many connections as they may.
    ``reaches``: where the tunnels of servers led after the packets had been sent.
    ``unanswered``: addresses that the traced senders asked for again and again (ARP, ND), and how often.
    ``uncolored``: packets that carried a mark and that nobody was seen to give it to: forged, or copies were lost.
    ``undecided``: packets that were seen and are not judged yet, or never will be, as the trace is cancelled.
    ``unsettled``: when (from, until; Unix seconds) a VFD's production tables were not those our flows were made from.
    ``watched_since``: the VFDs armed for the task and since when (Unix seconds); None when all were, all the time.
    ``lives``: the flows that came, were changed or went while the task ran.
    ``hop_limit``: the greatest hop index the marks can carry, None when no limit is known.
    ``all_came``: no copy is known to be missing, anywhere.
    ``postcards``: what underlay bridges were seen dropping after packets had been lost on the wire;
    ``underlay_down``: those of their ports that were down then; ``underlay_passed``: what came to these bridges.
    ``datapaths``: what servers' datapaths were found to do with packets that were silent.
    ``crowded``: the packet_ids of which more equal packets came than are told apart, so that copies were left out.
    """

    topology: Topology
    profiles: Mapping[BridgeId, PipelineProfile] = field(default_factory=dict)
    unreachable: Mapping[BridgeId, str] = field(default_factory=dict)
    unobserved: Mapping[BridgeId, str] = field(default_factory=dict)
    disturbed: Mapping[BridgeId, str] = field(default_factory=dict)
    unlogged: Mapping[BridgeId, frozenset[FlowKey]] = field(default_factory=dict)
    meters: tuple[MeterReading, ...] = ()
    copies: Mapping[BridgeId, CopyTally] = field(default_factory=dict)
    uncounted: Mapping[BridgeId, Spells] = field(default_factory=dict)
    copies_capped: Mapping[BridgeId, int] = field(default_factory=dict)
    overflowed: Mapping[str, int] = field(default_factory=dict)
    full_zones: Mapping[str, tuple[FullZone, ...]] = field(default_factory=dict)
    reaches: Mapping[str, TunnelReach] = field(default_factory=dict)
    unanswered: Mapping[IPAddress, int] = field(default_factory=dict)
    uncolored: int = 0
    undecided: int = 0
    hop_limit: int | None = None
    unsettled: Mapping[BridgeId, Spells] = field(default_factory=dict)
    lives: Mapping[tuple[BridgeId, FlowKey], FlowLife] = field(default_factory=dict)
    crowded: frozenset[str] = frozenset()
    watched_since: Mapping[BridgeId, float] | None = None
    postcards: tuple[Postcard, ...] = ()
    underlay_down: frozenset[DownPort] = frozenset()
    underlay_passed: tuple[Passage, ...] = ()
    datapaths: tuple[DatapathReading, ...] = ()
    places: Places = field(init=False, repr=False, compare=False)
    all_came: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", Places(self.topology))
        object.__setattr__(self, "all_came", not self.uncounted and not self.total_copies_lost)

    def profile(self, bridge: BridgeId) -> PipelineProfile:
        """What this VFD's tables mean; the generic profile when nobody says."""
        return self.profiles.get(bridge, GENERIC_PROFILE)

    def meter(self, bridge: BridgeId, meter_id: int) -> MeterReading | None:
        """The reading of one meter."""
        for reading in self.meters:
            if reading.entry.meter_id == meter_id and reading.bridge == bridge:
                return reading
        return None

    def missing_copies(self, bridge: BridgeId) -> int:
        """How many copies from a VFD never arrived: capped by our own meter, or lost on their way."""
        lost = self.copies[bridge].lost if bridge in self.copies else 0
        return self.copies_capped.get(bridge, 0) + max(lost, self.overflowed.get(bridge.node, 0))

    def uncounted_at(self, bridge: BridgeId, since: float, until: float) -> bool:
        """Whether copies that this VFD took in that time may be missing without being counted."""
        return any(began <= until and since <= ended for began, ended in self.uncounted.get(bridge, ()))

    def unwatched(self, bridge: BridgeId, at: float | None) -> str | None:
        """Why a VFD could not have logged a packet first seen then, as a clause; None where it could."""
        if bridge in self.unobserved or bridge in self.unreachable:
            return self.unobserved.get(bridge) or self.unreachable.get(bridge)
        if self.watched_since is None:
            return None
        since = self.watched_since.get(bridge)
        if since is None:
            return "it was not armed, as no flow entry was known to lead there"
        return "it was armed only while the trace ran" if since > (at or 0.0) else None

    def changed_at(self, bridge: BridgeId, at: float | None) -> bool:
        """Whether this VFD's tables were other ones than ours were made from then; at any time, if it is not known."""
        return any(at is None or since <= at <= until for since, until in self.unsettled.get(bridge, ()))

    @property
    def total_copies_lost(self) -> int:
        """Copies missing on all VFDs together."""
        lost: Counter[str] = Counter()
        for bridge, tally in self.copies.items():
            lost[bridge.node] += tally.lost
        of_servers = (max(lost[node], self.overflowed.get(node, 0)) for node in {*lost, *self.overflowed})
        return sum(of_servers) + sum(self.copies_capped.values())
