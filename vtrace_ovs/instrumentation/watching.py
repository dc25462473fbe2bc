"""Turns the plan of a bridge into which of its flows to be told of when somebody changes them."""

from vtrace_ovs.instrumentation.entrance import ENTRY_TABLE
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import ALL_TABLES, FlowChange, Watch
from vtrace_ovs.model.match import Match


def watches(plan: BridgePlan | None) -> tuple[Watch, ...]:
    """All of our flows, and nothing that production has: none of its flows matches the state, or is in a private table.

    Whoever deletes a flow of production by its match deletes our clone of it too, and nothing is wrong with that; who
    modifies it so leaves a clone that looks like ours and neither logs nor marks. So of clones only that is told. It
    keeps what we change ourselves quiet as well: clones are most of it, and we never modify, we add.
    """
    if plan is None:
        return ()
    tables = plan.tables
    private = (Watch(table) for table in (tables.classify, tables.leave, tables.turn))
    clones = Watch(ALL_TABLES, Match.of(plan.state.traced()), frozenset({FlowChange.MODIFIED}))
    return Watch(ENTRY_TABLE, Match.of(plan.state.unseen())), *private, clones
