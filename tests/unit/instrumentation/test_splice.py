from dataclasses import replace
from typing import Any

import pytest

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.site import Site
from vtrace_ovs.instrumentation.splice import Splicer
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model import oxm
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_NORMAL,
    Action,
    ApplyActions,
    Clone,
    Conjunction,
    Conntrack,
    Controller,
    DecTtl,
    Exit,
    GotoTable,
    Group,
    Instruction,
    Meter,
    Nat,
    Output,
    OutputSubField,
    Pop,
    Push,
    Resubmit,
    SetField,
    UnknownAction,
    UnknownInstruction,
    WriteActions,
)
from vtrace_ovs.model.flow import Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, PKT_MARK, SubField
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import PortKind

TURN = Resubmit(None, 251)
IN_PORT_2 = Match.of(MaskedField(IN_PORT, 2, IN_PORT.full_mask))


def flow(*instructions: Instruction, match: Match | None = None) -> Flow:
    return Flow(4, 10, match or Match(), instructions, cookie=0xA)


def applied(*actions: Action) -> ApplyActions:
    return ApplyActions(actions, tuple(bytes([at]) for at in range(1, len(actions) + 1)))


def spliced(
    site: Site, flow: Flow, groups: tuple[GroupEntry, ...] = (), *, conclusive: bool = True
) -> tuple[Action, ...]:
    result = Splicer.of(site, {group.group_id: group for group in groups}).splice(flow, conclusive=conclusive)
    (only,) = (entry for entry in result.instructions if isinstance(entry, ApplyActions))
    assert len(only.raw) in (0, len(only.actions))
    assert [wire for wire in only.raw if wire] == [
        wire for entry in flow.instructions if isinstance(entry, ApplyActions) for wire in entry.raw
    ]
    return tuple(only.actions)


def shape(actions: tuple[Action, ...]) -> list[object]:
    return ["log" if isinstance(action, Controller) else action for action in actions]


def handed_over(site: Site, flow: Flow) -> tuple[Action, ...]:
    """What is logged before a flow runs itself; at least, that it does."""
    (only,) = Splicer.of(site, {}).splice(flow, conclusive=True).instructions
    assert isinstance(only, ApplyActions)
    out, again, back = only.actions[-3:]
    assert (out, back) == (site.state.set_traced(traced=False), site.state.set_traced(traced=True))
    assert again == Resubmit(None, flow.table_id)
    return only.actions[:-3]


@pytest.mark.parametrize(
    ("rest", "n_logs"),
    [
        (applied(Controller(0), Output(3)), 1),
        (applied(Output(OFPP_CONTROLLER), Resubmit(None, 9)), 0),
    ],
)
def test_a_flow_whose_packet_ins_are_known_by_its_cookie_runs_itself_and_the_trace_ends(
    site: Site, rest: ApplyActions, n_logs: int
) -> None:
    assert len(handed_over(site, flow(rest))) == n_logs
    assert not Splicer.of(site, {}).splice(flow(rest), conclusive=True).complete


@pytest.mark.parametrize("timeouts", [{"idle_timeout": 60}, {"hard_timeout": 300, "duration": 270.0}])
@pytest.mark.parametrize(
    ("instructions", "complete"), [((applied(Output(3)),), False), ((applied(Resubmit(None, 9)),), False), ((), True)]
)
def test_a_flow_that_expires_is_hit_by_traced_packets_too(
    site: Site, timeouts: dict[str, Any], instructions: tuple[Instruction, ...], *, complete: bool
) -> None:
    expiring = replace(flow(*instructions), **timeouts)
    handed_over(site, expiring)
    assert Splicer.of(site, {}).splice(expiring, conclusive=True).complete is complete


def test_a_flow_that_outlives_the_trace_is_cloned(site: Site) -> None:
    lasting = replace(flow(applied(Output(3))), hard_timeout=300, duration=10.0)
    assert Splicer.of(site, {}).splice(lasting, conclusive=True).complete


def test_packet_ins_with_userdata_are_known_by_it(site: Site) -> None:
    told = Controller(0, userdata=b"next")
    assert told in spliced(site, flow(applied(told, Resubmit(None, 9))))


def test_a_vm_gets_the_packet_as_it_is_after_the_log(site: Site) -> None:
    actions = spliced(site, flow(applied(DecTtl(), Output(1))))
    assert shape(actions) == [DecTtl(), "log", Output(1)]
    (probe,) = site.book.all()
    assert (probe.out_port, probe.port_kind, probe.cookie) == (1, PortKind.EDGE, 0xA)


@pytest.mark.parametrize("ofport", [2, 3, 4])
def test_toward_armed_vfds_the_mark_is_put_on_and_taken_back(site: Site, ofport: int) -> None:
    actions = spliced(site, flow(applied(Output(ofport), Output(1))))
    assert shape(actions) == [Resubmit(ofport, 252), "log", TURN, Output(ofport), TURN, "log", Output(1)]


def test_toward_unarmed_vfds_no_mark_is_put_on(site: Site) -> None:
    assert shape(spliced(site, flow(applied(Output(5))))) == ["log", Output(5)]
    alone = replace(site, scene=replace(site.scene, armed=frozenset({site.bridge.id})))
    assert shape(spliced(alone, flow(applied(Output(2), Output(3))))) == ["log", Output(2), "log", Output(3)]


@pytest.mark.parametrize(
    "action",
    [Output(OFPP_NORMAL), Output(OFPP_FLOOD), OutputSubField(SubField(IN_PORT, 0, 16)), Group(9), Output(77)],
)
def test_where_the_port_is_not_known_nothing_is_marked(site: Site, action: Action) -> None:
    assert shape(spliced(site, flow(applied(action)))) == ["log", action]
    (probe,) = site.book.all()
    assert probe.port_kind is None


def test_output_to_the_ingress_port_is_known_when_the_match_names_it(site: Site) -> None:
    back = Output(OFPP_IN_PORT)
    assert shape(spliced(site, flow(applied(back)))) == ["log", back]
    named = flow(applied(back), match=IN_PORT_2)
    assert shape(spliced(site, named)) == [Resubmit(2, 252), "log", TURN, back, TURN]
    assert {(probe.out_port, probe.hairpin) for probe in site.book.all()} == {(None, True), (2, True)}


def test_the_hosts_own_port_is_named(site: Site) -> None:
    spliced(site, flow(applied(Output(OFPP_LOCAL))))
    assert [probe.port_kind for probe in site.book.all()] == [PortKind.LOCAL]


@pytest.mark.parametrize("instructions", [(), (applied(SetField(oxm.ETH_DST, 1, 1)),), (Meter(3), applied())])
def test_a_dead_end_logs_an_error_first(site: Site, instructions: tuple[Instruction, ...]) -> None:
    result = Splicer.of(site, {}).splice(flow(*instructions), conclusive=True)
    assert [type(entry) for entry in result.instructions if isinstance(entry, Meter)] == [
        type(entry) for entry in instructions if isinstance(entry, Meter)
    ]
    assert isinstance(result.instructions[-1], ApplyActions)
    assert isinstance(result.instructions[-1].actions[0], Controller)
    assert result.complete


def test_a_meter_comes_before_the_log_of_a_drop(site: Site) -> None:
    result = Splicer.of(site, {}).splice(flow(Meter(3)), conclusive=True)
    assert [type(entry) for entry in result.instructions] == [Meter, ApplyActions]


def test_a_dead_end_in_passing_is_copied_as_it_is(site: Site) -> None:
    dead = flow(applied(SetField(oxm.ETH_DST, 1, 1)))
    assert Splicer.of(site, {}).splice(dead, conclusive=False).instructions == dead.instructions
    assert not site.book.all()


@pytest.mark.parametrize("instructions", [(), (applied(),)])
def test_a_plain_drop_in_passing_is_logged_as_one_where_others_may_follow(
    site: Site, instructions: tuple[Instruction, ...]
) -> None:
    result = Splicer.of(site, {}).splice(flow(*instructions), conclusive=False)
    assert isinstance(result.instructions[0], ApplyActions)
    assert isinstance(result.instructions[0].actions[0], Controller)
    assert [(probe.kind, probe.loc) for probe in site.book.all()] == [(ProbeKind.ASIDE, Loc.ERROR)]


@pytest.mark.parametrize(
    "instructions",
    [
        (GotoTable(9),),
        (applied(Resubmit(None, 9)),),
        (applied(Clone((Resubmit(None, 9),))),),
        (applied(Conntrack(commit=False, force=False, zone=1, table_id=9)),),
        (applied(Conjunction(1, 0, 2), Conjunction(2, 0, 2)),),
        (applied(Group(1)),),
    ],
)
def test_flows_that_lead_on_are_copied_as_they_are(site: Site, instructions: tuple[Instruction, ...]) -> None:
    group = GroupEntry(1, GroupType.ALL, (Bucket(0, 0, 0, (Resubmit(None, 8),)),))
    result = Splicer.of(site, {1: group}).splice(flow(*instructions), conclusive=True)
    assert result.instructions == instructions
    assert result.complete


@pytest.mark.parametrize(
    "instructions",
    [
        (WriteActions((Output(1),)), GotoTable(9)),
        (applied(Clone((Output(1),))),),
        (applied(Group(1)),),
        (UnknownInstruction("new", b"x"),),
        (applied(UnknownAction("new", b"x")),),
    ],
)
def test_where_no_log_fits_the_flow_is_reported(site: Site, instructions: tuple[Instruction, ...]) -> None:
    group = GroupEntry(1, GroupType.ALL, (Bucket(0, 0, 0, (Resubmit(None, 8), Output(1))),))
    result = Splicer.of(site, {1: group}).splice(flow(*instructions), conclusive=True)
    assert not result.complete
    assert not site.book.all()


@pytest.mark.parametrize(
    "action",
    [
        Conntrack(commit=True, force=False, zone=1, table_id=None, nested=(Nat(source=False, destination=False),)),
        UnknownAction("new", b"x"),
    ],
)
def test_a_packet_changed_behind_the_flow_tables_back_is_not_marked_any_more(site: Site, action: Action) -> None:
    actions = spliced(site, flow(applied(action, Resubmit(None, 9))))
    assert actions == (action, site.state.set_altered(), Resubmit(None, 9))


@pytest.mark.parametrize("source", [True, False])
def test_committing_with_nat_that_names_no_address_changes_nothing(site: Site, source: bool) -> None:
    nat = Nat(source=source, destination=not source)
    actions = (Conntrack(commit=True, force=False, zone=1, table_id=None, nested=(nat,)), Resubmit(None, 9))
    assert spliced(site, flow(applied(*actions))) == actions


def test_nothing_behind_exit_is_touched(site: Site) -> None:
    assert shape(spliced(site, flow(applied(Output(1), Exit(), Output(1))))) == ["log", Output(1), Exit(), Output(1)]


@pytest.mark.parametrize("action", [Controller(0), Output(OFPP_CONTROLLER, 128)])
def test_a_production_controller_is_served_by_the_flow_itself(site: Site, action: Action) -> None:
    result = Splicer.of(site, {}).splice(flow(applied(action)), conclusive=True)
    (only,) = result.instructions
    assert isinstance(only, ApplyActions)
    state = site.state
    assert shape(only.actions) == [
        "log",
        state.set_traced(traced=False),
        Resubmit(None, 4),
        state.set_traced(traced=True),
    ]


def test_what_a_controller_gets_is_known_to_be_its_and_carries_no_state_of_ours(site: Site) -> None:
    marked = replace(site, state=StateField(PKT_MARK))
    whole = SubField(PKT_MARK, 0, 32)
    hidden = [Push(whole), SetField(PKT_MARK, 0, PKT_MARK.full_mask), Resubmit(None, 4), Pop(whole)]
    (only,) = Splicer.of(marked, {}).splice(flow(applied(Controller(0))), conclusive=True).instructions
    assert isinstance(only, ApplyActions)
    assert shape(only.actions) == ["log", *hidden]
    assert [probe.out_port for probe in marked.book.all()] == [OFPP_CONTROLLER]


def test_a_state_that_outlives_the_bridge_is_put_away_around_every_output(site: Site) -> None:
    marked = replace(site, state=StateField(PKT_MARK))
    whole = SubField(PKT_MARK, 0, 32)
    hide, show = [Push(whole), SetField(PKT_MARK, 0, PKT_MARK.full_mask)], [Pop(whole)]
    assert shape(spliced(marked, flow(applied(Output(1))))) == ["log", *hide, Output(1), *show]
    assert shape(spliced(marked, flow(applied(Output(2))))) == [
        Resubmit(2, 252),
        "log",
        TURN,
        *hide,
        Output(2),
        *show,
        TURN,
    ]
