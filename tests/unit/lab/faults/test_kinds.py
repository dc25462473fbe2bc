from vtrace_ovs.lab.faults.kinds import with_flows, without_flows
from vtrace_ovs.lab.program import BridgeProgram, FlowLine, MeterLine

GOOD = FlowLine(0, 1, "ip", "output:1", 7)
BAD = FlowLine(0, 1, "ip", "drop", 7)
OTHER = FlowLine(0, 2, "arp", "normal", 7)
PROGRAM = BridgeProgram.of((GOOD, OTHER), (MeterLine(1, 2, 3),))


def test_a_flow_takes_the_place_of_the_one_with_its_key() -> None:
    edited = with_flows(PROGRAM, BAD)
    assert set(edited.flows) == {BAD, OTHER}
    assert edited.meters == PROGRAM.meters


def test_doomed_flows_go_and_the_others_stay() -> None:
    edited = without_flows(PROGRAM, lambda flow: flow.match == "ip")
    assert edited.flows == (OTHER,)
    assert edited.meters == PROGRAM.meters
