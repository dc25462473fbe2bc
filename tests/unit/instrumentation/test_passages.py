import pytest

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.passages import counting
from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    Action,
    ApplyActions,
    Controller,
    GotoTable,
    Learn,
    Output,
    Resubmit,
    SetField,
)
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowMod
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import ETH_TYPE, IN_PORT, IPV4_DST, IPV4_SRC, REGISTERS

SETTINGS = Settings(0x5654, 7)
IP = exactly(ETH_TYPE, 0x0800)
PAIR = Match.of(IP, exactly(IPV4_SRC, 1), exactly(IPV4_DST, 2))


def flow(*actions: Action, match: Match | None = None, priority: int = 0, table_id: int = 0) -> Flow:
    return Flow(table_id, priority, match or Match(), (ApplyActions(actions, (b"",) * len(actions)),))


def planned(*flows: Flow) -> FlowMod | None:
    return counting(BridgeTables(1, 0.0, flows), PAIR, SETTINGS, 12)


def test_packets_are_counted_before_all_other_flows_and_sent_on_to_them_once() -> None:
    tally = planned(flow(Output(1)))
    assert tally is not None
    assert (tally.table_id, tally.priority, tally.hard_timeout) == (0, 65535, 12)
    assert Cookie.of(tally.cookie) == Cookie(7, CookieKind.TALLY)
    (register,) = (masked for masked in tally.match.fields if masked.field in REGISTERS)
    assert register.value == 0
    (steps,) = tally.instructions
    assert isinstance(steps, ApplyActions)
    mark, again = steps.actions
    assert isinstance(mark, SetField)
    assert (mark.field, mark.value & register.mask) == (register.field, register.mask)
    assert again == Resubmit(None, 0)


EVERYWHERE = flow(Output(1))
IN_THE_WAY = {
    "a flow as high": (EVERYWHERE, flow(Output(2), match=PAIR, priority=65535)),
    "a miss": (flow(Output(1), match=Match.of(exactly(IN_PORT, 3))),),
    "a flow that may learn one as high": (flow(Learn(table_id=0, priority=65535), Output(1)),),
    "a copy to a controller": (flow(Controller(0, 128, 0), Output(1)),),
    "a packet-in further on": (
        Flow(0, 0, Match(), (GotoTable(4),)),
        flow(Output(OFPP_CONTROLLER), match=PAIR, table_id=4),
    ),
    "every register in use": (
        EVERYWHERE,
        *(flow(match=Match.of(MaskedField(one, 1, one.full_mask)), priority=9) for one in REGISTERS),
    ),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_where_production_might_notice_nothing_is_counted(name: str) -> None:
    assert planned(*IN_THE_WAY[name]) is None
    assert planned(EVERYWHERE, flow(Output(2), match=PAIR, priority=65534)) is not None
