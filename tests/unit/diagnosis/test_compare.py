from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.diagnosis.compare import counterpart, first_divergence
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]
MakeFlow = Callable[..., FlowKey]


def test_equal_ways_agree(hop: MakeHop, way: Way) -> None:
    hops = (hop("cs1/br-int", 1, out_port=10), hop("cs2/br-int", 2, out_port=1))
    assert first_divergence(way(Ending.HANDED_TO_PORT, *hops), way(Ending.HANDED_TO_PORT, *hops)) is None


def test_an_observation_that_merely_stops_agrees(hop: MakeHop, way: Way) -> None:
    predicted = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, "", out_port=10), hop("cs2/br-int", 2, "", out_port=1))
    assert first_divergence(way(Ending.OPEN, hop("cs1/br-int", 1, "in")), predicted) is None


def test_another_bridge_than_predicted_is_a_divergence(hop: MakeHop, way: Way) -> None:
    observed = way(Ending.OPEN, hop("cs1/br-int", 1, out_port=10), hop("gw1/br-int", 2, "in"))
    predicted = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, "", out_port=10), hop("cs2/br-int", 2, "", out_port=1))
    found = first_divergence(observed, predicted)
    assert found is not None
    assert found.hop.dscp_mark == 2
    assert "cs2/br-int" in found.sentence
    assert "gw1/br-int" in found.sentence


def test_another_port_than_predicted_is_a_divergence(hop: MakeHop, way: Way) -> None:
    found = first_divergence(
        way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=1)),
        way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, "", out_port=2)),
    )
    assert found is not None
    assert "port 2" in found.sentence


def test_any_branch_of_the_prediction_will_do(hop: MakeHop, way: Way) -> None:
    flood = way(
        Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, "", out_port=2), hop("cs1/br-int", 1, "", out_port=1, parent=None)
    )
    assert first_divergence(way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2)), flood) is None


def test_passing_a_predicted_drop_is_a_divergence(hop: MakeHop, way: Way) -> None:
    found = first_divergence(
        way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=1)),
        way(Ending.DROPPED, hop("cs1/br-int", 1, "", drop=DropShape.EXPLICIT_DROP)),
    )
    assert found is not None
    assert "explicit drop" in found.sentence


def test_a_drop_at_the_output_itself_is_logged_as_leaving(hop: MakeHop, way: Way) -> None:
    observed = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=1))
    for shape in (DropShape.PORT_DOWN, DropShape.NO_OUTPUT):
        predicted = way(Ending.DROPPED, hop("cs1/br-int", 1, "", out_port=1, drop=shape))
        assert first_divergence(observed, predicted) is None


def test_another_flow_than_predicted_is_a_divergence(hop: MakeHop, way: Way, flow: MakeFlow) -> None:
    step = Step(20, flow(20, 5), 0, "drop")
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step))
    same = way(Ending.DROPPED, hop("cs1/br-int", 1, "", step, drop=DropShape.EXPLICIT_DROP))
    assert first_divergence(observed, same) is None
    other = way(
        Ending.DROPPED,
        hop("cs1/br-int", 1, "", replace(step, flow=flow(20, 6)), drop=DropShape.EXPLICIT_DROP),
    )
    found = first_divergence(observed, other)
    assert found is not None
    assert "priority=6" in found.sentence


def test_the_deciding_lookup_counts_not_the_last(hop: MakeHop, way: Way, flow: MakeFlow) -> None:
    deny, after = Step(20, flow(20, 5), 0, "drop"), Step(30, flow(30, 1), 0, "")
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", deny))
    expected = hop("cs1/br-int", 1, "", drop=DropShape.EXPLICIT_DROP, steps=(deny, after), deciding=0)
    assert first_divergence(observed, way(Ending.DROPPED, expected)) is None


def test_a_hop_without_records_is_not_compared(hop: MakeHop, way: Way) -> None:
    observed = way(Ending.OPEN, replace(hop("cs1/br-int", 1), inferred=True), hop("cs2/br-int", 2, "in"))
    predicted = way(Ending.OPEN, hop("gw1/br-int", 1, ""), hop("cs2/br-int", 2, ""))
    assert first_divergence(observed, predicted) is None


def test_the_counterpart_leaves_by_the_same_port(hop: MakeHop, way: Way) -> None:
    first, second = hop("cs1/br-int", 1, "", out_port=2), hop("cs1/br-int", 1, "", out_port=1)
    predicted = way(Ending.HANDED_TO_PORT, first, second)
    assert counterpart(predicted, hop("cs1/br-int", 1, out_port=2)) == first
    assert counterpart(predicted, hop("cs1/br-int", 4)) is None


def test_a_prediction_says_nothing_from_its_first_unknown_hop_on(hop: MakeHop, way: Way) -> None:
    unknown = replace(hop("cs2/br-int", 2, ""), ending=Ending.UNKNOWN)
    predicted = way(Ending.UNKNOWN, hop("cs1/br-int", 1, "", out_port=10), unknown)
    onward = (hop("cs2/br-int", 2, out_port=1), hop("gw1/br-int", 3, "in"))
    assert first_divergence(way(Ending.OPEN, hop("cs1/br-int", 1, out_port=10), *onward), predicted) is None
    assert first_divergence(way(Ending.OPEN, hop("cs1/br-int", 1, out_port=9), *onward), predicted) is not None
