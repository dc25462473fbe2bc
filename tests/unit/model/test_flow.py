from dataclasses import replace

from vtrace_ovs.model.flow import (
    Flow,
    FlowKey,
    FlowMod,
    FlowModCommand,
    PortCounters,
    QueueCounters,
    with_queues,
)
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT

MATCH = Match.of(MaskedField(IN_PORT, 3, IN_PORT.full_mask))


def test_a_flow_is_identified_by_table_priority_and_match() -> None:
    assert Flow(5, 100, MATCH, (), cookie=7).key == FlowKey(5, 100, MATCH)
    assert FlowMod(FlowModCommand.ADD, 5, 100, MATCH, 7).key == FlowKey(5, 100, MATCH)


def test_counters_and_ages_do_not_make_a_flow_another_one() -> None:
    assert Flow(5, 100, MATCH, (), n_packets=1, n_bytes=60, duration=2.0) == Flow(5, 100, MATCH, ())
    assert Flow(5, 100, MATCH, (), cookie=1) != Flow(5, 100, MATCH, ())


def test_the_queues_of_a_port_are_counted_together() -> None:
    ports = (PortCounters(1, 9, 9, 0, 0), PortCounters(2, 9, 9, 0, 0))
    queues = (QueueCounters(2, 0, sent=5, dropped=1), QueueCounters(2, 7, sent=3, dropped=2))
    assert with_queues(ports, queues) == (ports[0], replace(ports[1], queue_sent=8, queue_dropped=3))
