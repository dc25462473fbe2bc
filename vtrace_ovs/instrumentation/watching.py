"""Turns the plan of a bridge into which of its flows to be told of when somebody deletes them."""

from vtrace_ovs.instrumentation.entrance import ENTRY_TABLE
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import Watch
from vtrace_ovs.model.match import Match


def watches(plan: BridgePlan | None) -> tuple[Watch, ...]:
    """The flows that take marks off and that color, and those that tell whose packets are: all in two tables.

    What production does there is not among it: none of its flows matches the state, or is in a private table. Clones
    are left out, as whoever deletes a flow by its match deletes its clone as well.
    """
    if plan is None:
        return ()
    return Watch(ENTRY_TABLE, Match.of(plan.state.unseen())), Watch(plan.tables.classify)
