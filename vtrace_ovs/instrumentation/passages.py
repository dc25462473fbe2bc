"""Turns the tables of an underlay bridge into flows that count what passes it between two tunnel endpoints.

Such a flow comes before all others and only sends packets on to them, so what the datapath does with them is the same.
Where production might notice, there is none: if flows are as high, a miss or a copy goes to a controller, or no
register is left to tell who has been counted.
"""

from collections.abc import Iterator
from itertools import chain

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.clones import HIGHEST
from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.entrance import ENTRY_TABLE
from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.instrumentation.reach import Reach, reach
from vtrace_ovs.instrumentation.site import apply
from vtrace_ovs.instrumentation.spare import spare_field
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.instrumentation.walk import every_action
from vtrace_ovs.model.actions import OFPP_CONTROLLER, Action, Controller, Output, Resubmit
from vtrace_ovs.model.flow import BridgeTables, FlowMod, FlowModCommand
from vtrace_ovs.model.match import Match


def counting(tables: BridgeTables, pair: Match, settings: Settings, lifetime: int) -> FlowMod | None:
    """The flow that counts packets of ``pair``; None where there is to be none. It expires after ``lifetime`` s."""
    try:
        state = spare_field(tables.flows, tables.groups)
    except RefusedError:
        return None
    reached = reach(tables.flows, {group.group_id: group for group in tables.groups}, [pair])
    if state.outlives_the_bridge or not _goes_on_as_before(reached, pair):
        return None
    cookie = Cookie(settings.generation, CookieKind.TALLY).value
    on = apply(state.load(State()), Resubmit(None, ENTRY_TABLE))
    place, match = (ENTRY_TABLE, HIGHEST), pair.with_fields(state.unseen())
    return FlowMod(FlowModCommand.ADD, *place, match, cookie, instructions=on, hard_timeout=lifetime)


def _goes_on_as_before(reached: Reach, pair: Match) -> bool:
    """Whether packets find the same flow after a resubmit: one that misses then is no packet-in, as it may be before.

    A packet-in would tell a controller our register.
    """
    first = reached.flows.get(ENTRY_TABLE, ())
    highest = chain((flow.priority for flow in first), (above for table, above in reached.learned if not table))
    taken = any(flow.match.meet(pair) == pair for flow in first)
    return taken and max(highest) < HIGHEST and not any(map(_tells, _actions(reached)))


def _actions(reached: Reach) -> Iterator[Action]:
    for flow in chain.from_iterable(reached.flows.values()):
        yield from every_action(flow.instructions)


def _tells(action: Action) -> bool:
    return isinstance(action, Controller) or (isinstance(action, Output) and action.port == OFPP_CONTROLLER)
