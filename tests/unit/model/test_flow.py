from vtrace_ovs.model.flow import Flow, FlowKey, FlowMod, FlowModCommand
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT

MATCH = Match.of(MaskedField(IN_PORT, 3, IN_PORT.full_mask))


def test_a_flow_is_identified_by_table_priority_and_match() -> None:
    assert Flow(5, 100, MATCH, (), cookie=7).key == FlowKey(5, 100, MATCH)
    assert FlowMod(FlowModCommand.ADD, 5, 100, MATCH, 7).key == FlowKey(5, 100, MATCH)


def test_counters_and_ages_do_not_make_a_flow_another_one() -> None:
    assert Flow(5, 100, MATCH, (), n_packets=1, n_bytes=60, duration=2.0) == Flow(5, 100, MATCH, ())
    assert Flow(5, 100, MATCH, (), cookie=1) != Flow(5, 100, MATCH, ())
