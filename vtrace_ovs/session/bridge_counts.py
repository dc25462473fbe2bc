"""Turns two readings of the counters of production's flows and ports into what they counted in between."""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vtrace_ovs.diagnosis.blame import Counters
from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowKey, PortCounters
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Culprit


@dataclass(frozen=True, slots=True)
class BridgeCounts:
    """What a bridge had counted at one moment (packets); ``packets`` is in the order of ``flows``."""

    flows: tuple[Flow, ...] = ()
    packets: "array[int]" = field(default_factory=lambda: array("Q"))
    ports: Mapping[int, PortCounters] = field(default_factory=dict)

    @property
    def queue_dropped(self) -> int:
        """What queues had dropped."""
        return sum(port.queue_dropped or 0 for port in self.ports.values())

    def of_flow(self, key: FlowKey) -> int | None:
        """What this flow had counted of packets that are not traced; None if it was not there.

        None too of flows that expire: they run for traced packets as well, and count those with the others.
        """
        for flow, packets in zip(self.flows, self.packets, strict=True):
            if flow.table_id == key.table_id and flow.priority == key.priority and flow.match == key.match:
                return None if flow.idle_timeout or flow.hard_timeout else packets
        return None


def counts_of(kept: BridgeTables, read: BridgeTables, ports: Iterable[PortCounters]) -> BridgeCounts:
    """The counters of a reading, by the flows of the equal tables that are kept: a reading costs no second copy."""
    flows = read.flows
    if kept is not read and kept.flows != read.flows:
        found = {flow: flow for flow in read.flows}
        flows = tuple(found[flow] for flow in kept.flows)
    return BridgeCounts(kept.flows, array("Q", [flow.n_packets for flow in flows]), {one.ofport: one for one in ports})


def culprits_of(packets: Iterable[DiagnosedPacket]) -> frozenset[Culprit]:
    """Whom losses of these packets are blamed on."""
    lost = (packet.verdict for packet in packets if packet.verdict.disposition.is_loss)
    return frozenset(verdict.culprit for verdict in lost if verdict.culprit is not None)


def counted_since(
    before: Mapping[BridgeId, BridgeCounts], now: Mapping[BridgeId, BridgeCounts], culprits: Collection[Culprit]
) -> Counters:
    """What was counted since at the places these losses are blamed on, and by queues that dropped something."""
    nodes = {node for culprit in culprits for node in (culprit.node, culprit.next_node)}
    both = before.keys() & now.keys()
    flows: dict[tuple[BridgeId, FlowKey], int] = {}
    for culprit in culprits:
        bridge, flow = culprit.bridge, culprit.flow
        if bridge is not None and flow is not None and bridge in both:
            then, last = before[bridge].of_flow(flow) or 0, now[bridge].of_flow(flow)
            if last is not None and last >= then:
                flows[bridge, flow] = last - then
    ports = {
        (bridge, ofport): counters
        for bridge in both
        for ofport, counters in _since(before[bridge].ports, now[bridge].ports)
        if bridge.node in nodes or counters.queue_dropped
    }
    return Counters(flows, ports)


def _since(before: Mapping[int, PortCounters], now: Mapping[int, PortCounters]) -> Iterator[tuple[int, PortCounters]]:
    for ofport, last in now.items():
        then = before.get(ofport)
        if then is not None:
            yield (
                ofport,
                PortCounters(
                    ofport,
                    _more(then.rx_packets, last.rx_packets),
                    _more(then.tx_packets, last.tx_packets),
                    _more(then.rx_dropped, last.rx_dropped),
                    _more(then.tx_dropped, last.tx_dropped),
                    _more(then.queue_sent, last.queue_sent),
                    _more(then.queue_dropped, last.queue_dropped),
                ),
            )


def _more(then: int | None, now: int | None) -> int | None:
    """None too where it counts from zero again."""
    return None if then is None or now is None or now < then else now - then
