import pytest

from vtrace_ovs.instrumentation.entrance import Entrance, entrance
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    Conntrack,
    DecTtl,
    GotoTable,
    Instruction,
    Meter,
    Output,
    UnknownAction,
)
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, IPV4_SRC, PKT_MARK, REGISTERS, TCP_DST

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


@pytest.mark.parametrize(
    "instruction",
    [
        Meter(7),
        ApplyActions((Conntrack(True, False, 1, None),)),
        ApplyActions((Output(3, 60),)),
        ApplyActions((UnknownAction("encap", b""),)),
    ],
)
def test_a_first_flow_that_cannot_be_undone_is_isolated_at_the_ports_it_matches(instruction: Instruction) -> None:
    found = entrance((flow(FROM_2, instruction),), REGISTER)
    assert found.isolation(2) == (Output(2, 64),)
    assert found.isolation(3) == ()


@pytest.mark.parametrize("action", [Output(3), DecTtl()])
def test_what_can_be_undone_needs_no_isolation(action: Action) -> None:
    production = (flow(FROM_2, ApplyActions((action,)), GotoTable(1)), flow(Match(), Meter(7), table_id=1))
    assert entrance(production, REGISTER) == Entrance()
