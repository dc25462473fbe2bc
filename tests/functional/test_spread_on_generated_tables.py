"""Wherever the walker sends a packet, and so Open vSwitch, the search for the VFDs to arm has been there too."""

from ipaddress import ip_network

from hypothesis import HealthCheck, Phase, given, settings
from walker_generator import PACKETS, tables
from walker_judge import GROUPS, Packet, view_of, walked

from vtrace_ovs.instrumentation.branches import Pipeline
from vtrace_ovs.instrumentation.looks import Look
from vtrace_ovs.instrumentation.reach import exactly, filter_match
from vtrace_ovs.instrumentation.spread import FRESH, NO_TUNNEL
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import IN_PORT

TABLE_SETS = 120
LEAST_OUTPUTS = 200


def exits(flows: list[Flow], look: Look) -> set[int | None]:
    """The ports that packets of this look may leave by; None among them when it may be any."""
    pipeline = Pipeline(BridgeTables(1, 0.0, tuple(flows), GROUPS))
    pending, found = [(0, look)], set[int | None]()
    seen: list[tuple[int, Look]] = []
    while pending:
        table_id, here = pending.pop()
        if any(known == table_id and other.covers(here) for known, other in seen):
            continue
        seen.append((table_id, here))
        onward = pipeline.onward(table_id, here)
        pending += onward.tables
        found |= {leaving.port for leaving in onward.exits}
    return found


def entering(packet: Packet) -> Look:
    """What is known of a task's packets where they enter: the filter and the port."""
    source, destination = ip_network(packet.source), ip_network(packet.destination)
    traffic = Filter("", packet.protocol, source, destination, destination_port=packet.destination_port)
    fresh = Match((*FRESH, *NO_TUNNEL, exactly(IN_PORT, packet.in_port)))
    return Look.of(*filter_match(traffic).fields).narrowed(fresh)


def test_no_way_that_a_packet_takes_is_missed() -> None:
    outputs = 0

    @settings(
        max_examples=TABLE_SETS,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(generated=tables(), packets=PACKETS)
    def compare(generated: list[Flow], packets: list[Packet]) -> None:
        nonlocal outputs
        view = view_of(generated)
        for packet in (one for one in packets if one.arp_op is None and not one.tracked):
            emitted = {each.port for each in walked(view, packet).emissions}
            outputs += len(emitted)
            ways = exits(generated, entering(packet))
            assert None in ways or emitted <= ways, (packet, emitted, ways, generated)

    compare()
    assert outputs >= LEAST_OUTPUTS
