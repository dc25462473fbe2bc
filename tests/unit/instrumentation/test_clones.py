import pytest

from vtrace_ovs.instrumentation.clones import clones
from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.reach import Reach
from vtrace_ovs.instrumentation.site import Site
from vtrace_ovs.instrumentation.splice import Splicer
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    Action,
    ApplyActions,
    Conntrack,
    Nat,
    Output,
    Resubmit,
    SetField,
    UnknownAction,
)
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IPV4_DST, REGISTERS

TO_2 = Match.of(MaskedField(IPV4_DST, 0x0A000200, 0xFFFFFF00))
TO_3 = Match.of(MaskedField(IPV4_DST, 0x0A000300, 0xFFFFFF00))


def flow(priority: int, match: Match | None = None) -> Flow:
    return Flow(7, priority, match or Match(), (ApplyActions((Output(1),), (b"raw",)),))


def test_clones_stand_one_above_and_match_only_traced_packets(site: Site) -> None:
    made = clones(site, Splicer.of(site, {}), Reach({7: (flow(0), flow(5, TO_2))}, frozenset({7})))
    assert [(mod.priority, mod.match) for mod in made.flows] == [
        (1, Match.of(site.state.traced())),
        (6, TO_2.with_fields(site.state.traced())),
    ]
    assert made.unlogged == ()


def test_a_miss_that_ends_the_trip_is_logged_below_everything(site: Site) -> None:
    made = clones(site, Splicer.of(site, {}), Reach({7: (flow(5, TO_2),), 8: ()}, frozenset({7, 8})))
    misses = [mod for mod in made.flows if Cookie.of(mod.cookie) == Cookie(3, CookieKind.MISS)]
    assert [(mod.table_id, mod.priority, mod.match) for mod in misses] == [
        (7, 0, Match.of(site.state.traced())),
        (8, 0, Match.of(site.state.traced())),
    ]


def test_a_miss_in_passing_is_not_logged(site: Site) -> None:
    assert clones(site, Splicer.of(site, {}), Reach({8: ()}, frozenset())).flows == ()


def test_the_highest_priority_cannot_be_topped_nor_what_would_tie_with_it(site: Site) -> None:
    flows = (flow(65535, TO_2), flow(65534, TO_3), flow(65534), flow(65533, TO_2), flow(65532, TO_2), flow(65531, TO_3))
    made = clones(site, Splicer.of(site, {}), Reach({7: flows}, frozenset()))
    assert set(made.unlogged) == {flows[at].key for at in (0, 2, 3, 4)}
    assert made.leaks == made.unlogged
    assert [mod.priority for mod in made.flows] == [65535, 65532]


@pytest.mark.parametrize(
    ("actions", "unlogged", "leaks"),
    [
        ((Resubmit(None, 8),), False, False),
        ((SetField(REGISTERS[0], 1, 1), Resubmit(None, 8)), False, False),
        ((), True, False),
        ((Resubmit(None, 8), Output(1)), True, True),
        ((Output(OFPP_CONTROLLER), Resubmit(None, 8)), True, True),
        (
            (
                Conntrack(
                    commit=True, force=False, zone=1, table_id=None, nested=(Nat(source=False, destination=False),)
                ),
                Resubmit(None, 8),
            ),
            True,
            True,
        ),
        ((Resubmit(None, 8), UnknownAction("novel", b"novel")), True, True),
    ],
    ids=["resubmit", "registers", "drop", "output", "controller", "nat", "unknown"],
)
def test_an_untoppable_flow_matters_only_where_the_packet_may_end_or_leave(
    site: Site, actions: tuple[Action, ...], unlogged: bool, leaks: bool
) -> None:
    highest = Flow(7, 65535, TO_2, (ApplyActions(actions),))
    made = clones(site, Splicer.of(site, {}), Reach({7: (highest,)}, frozenset()))
    assert made.flows == ()
    assert made.unlogged == ((highest.key,) if unlogged else ())
    assert made.leaks == ((highest.key,) if leaks else ())


def test_what_may_be_learned_just_above_a_flow_is_not_tied_with_its_clone(site: Site) -> None:
    flows = (flow(0), flow(4, TO_3), flow(5, TO_2), flow(7))
    tables = {7: flows, 8: ()}
    made = clones(site, Splicer.of(site, {}), Reach(tables, frozenset({7, 8}), frozenset({(7, 1), (7, 6), (8, 0)})))
    assert set(made.unlogged) == {flows[0].key, flows[2].key}
    assert [(mod.table_id, mod.priority) for mod in made.flows] == [(7, 5), (7, 8)]
