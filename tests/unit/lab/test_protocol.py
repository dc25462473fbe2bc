from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.protocol import (
    Answer,
    AskState,
    AskTraffic,
    Call,
    Done,
    HealFault,
    InjectFault,
    Refusal,
    StartTraffic,
    StopTraffic,
    TakeDown,
    TrafficProgress,
)
from vtrace_ovs.lab.state import LabState, NatState, ServerState, VmState
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficReport, TrafficRequest
from vtrace_ovs.model.overlay import NatKind, NatRule

STATE = LabState(
    "vpc",
    (ServerState("cs1", 7, "unix:/run/cs1/db.sock", IPv4Address("172.31.0.11")),),
    (ServerState("pfd1", 8, "unix:/run/pfd1/db.sock"),),
    (VmState("b1", "blue", "cs1", IPv4Address("10.0.1.11"), "02:01:0a:00:01:0b", 9),),
    (Fault(FaultName.NO_ROUTE, vm="b1"),),
    (NatState("blue", NatRule(1, NatKind.DNAT, IPv4Address("203.0.113.1"), (IPv4Network("10.0.1.11/32"),))),),
    keeper=6,
)
CALLS = (
    AskState(),
    InjectFault(Fault(FaultName.SECURITY_DENY, port=443)),
    HealFault(),
    HealFault(FaultName.NO_ROUTE),
    StartTraffic(TrafficRequest("a", "b", TrafficProtocol.TCP_STREAM, 443)),
    AskTraffic(1),
    StopTraffic(1),
    TakeDown(),
)
ANSWERS = (STATE, Fault(FaultName.NOT_SENT), TrafficProgress(1, running=True), TrafficReport(5, 4, 3, (46,)), Done())


@pytest.mark.parametrize("request_", CALLS, ids=lambda value: type(value).__name__)
def test_a_call_survives_the_wire(
    request_: AskState | InjectFault | HealFault | StartTraffic | AskTraffic | StopTraffic | TakeDown,
) -> None:
    line = to_json(Call(request_))
    assert "\n" not in line
    assert from_json(Call, line) == Call(request_)


@pytest.mark.parametrize("result", [*ANSWERS, Refusal("no", usage=True)], ids=lambda value: type(value).__name__)
def test_an_answer_survives_the_wire(
    result: LabState | Fault | TrafficProgress | TrafficReport | Done | Refusal,
) -> None:
    assert from_json(Answer, to_json(Answer(result))) == Answer(result)


def test_the_inventory_reads_the_servers_and_not_the_underlay() -> None:
    assert STATE.ovsdb_remotes == ("unix:/run/cs1/db.sock",)
