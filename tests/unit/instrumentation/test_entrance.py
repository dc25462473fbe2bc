import pytest

from vtrace_ovs.instrumentation.entrance import entrance
from vtrace_ovs.instrumentation.isolation import PLAIN
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model.actions import ApplyActions, Instruction, Meter, Output
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, IPV4_SRC, PKT_MARK, REGISTERS, TCP_DST
from vtrace_ovs.model.topology import Port, PortKind

REGISTER = StateField(REGISTERS[15])
FROM_2 = Match.of(MaskedField(IN_PORT, 2, IN_PORT.full_mask))
PREFIX = Match.of(MaskedField(IPV4_SRC, 0x0A000000, 0xFF000000))
PORT = Match.of(MaskedField(TCP_DST, 80, TCP_DST.full_mask))


def flow(match: Match, *instructions: Instruction, table_id: int = 0, priority: int = 1) -> Flow:
    return Flow(table_id, priority, match, instructions)


@pytest.mark.parametrize(
    ("production", "state", "aside"),
    [
        (flow(PREFIX), REGISTER, True),
        (flow(PORT), REGISTER, True),
        (flow(FROM_2), REGISTER, False),
        (flow(PREFIX, table_id=1), REGISTER, False),
        (flow(PREFIX, priority=65534), REGISTER, False),
        (flow(PREFIX), StateField(PKT_MARK), False),
    ],
)
def test_five_tuples_are_looked_up_aside_where_production_matches_addresses_or_ports_first(
    production: Flow, state: StateField, *, aside: bool
) -> None:
    assert entrance((production,), state).aside is aside


def test_only_first_flows_that_isolate_matter_and_only_at_patch_ports() -> None:
    metered, plain = flow(FROM_2, Meter(7), priority=2), flow(PREFIX, ApplyActions((Output(3),)))
    found = entrance((metered, plain, flow(Match(), Meter(7), table_id=1)), REGISTER)
    assert found.first == (metered, plain)
    assert [layer.isolated for layer in found.layers(Port(2, "p", PortKind.PATCH), 0)] == [True, False]
    assert found.layers(Port(2, "t", PortKind.TUNNEL), 0) == PLAIN
    assert entrance((plain, flow(Match(), Meter(7), table_id=1)), REGISTER).first == ()
