from collections.abc import Callable
from typing import get_args

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import SubField, field
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.evaluation import MAX_PASSES, evaluate
from vtrace_ovs.walker.execution import MAX_RECIRCULATIONS
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.visit import Visit

ANY = act.OFPP_ANY
NEW = 0x21
REG0 = SubField(field("reg0"), 0, 16)
Run = Callable[..., Visit]


@pytest.fixture
def run(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], headers: Callable[..., Headers]
) -> Callable[..., Visit]:
    """Table 0 is one flow with these actions (and further flows); the packet comes in by port 1."""

    def evaluated(
        *actions: act.Action | act.Instruction,
        more: tuple[Flow, ...] = (),
        groups: tuple[GroupEntry, ...] = (),
        ct_state: int | None = NEW,
    ) -> Visit:
        view = BridgeView(tables(flow(0, 1, Match(), *actions), *more, groups=groups, down=(8,)))
        return evaluate(view, packed_state(headers(), 1, None), 118, ct_state)

    return evaluated


def ports(visit: Visit) -> list[int]:
    return [emission.port for emission in visit.emissions]


def stops(visit: Visit) -> list[DropShape | None]:
    return [stop.shape for stop in visit.stops]


def select(*weights: int) -> GroupEntry:
    return GroupEntry(1, GroupType.SELECT, tuple(Bucket(weight, ANY, ANY, (act.Output(2),)) for weight in weights))


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (act.UnknownAction("encap(nsh)", b""), "encap(nsh)"),
    ],
)
def test_what_is_not_modelled_ends_the_pass_by_name_and_keeps_earlier_outputs(
    run: Run, action: act.Action, name: str
) -> None:
    visit = run(act.Output(2), action, act.Output(3))
    assert ports(visit) == [2]
    assert [(stop.shape, stop.detail) for stop in visit.stops] == [(DropShape.UNSUPPORTED, name)]


def test_a_select_group_is_only_predicted_with_one_bucket(run: Run) -> None:
    assert ports(run(act.Group(1), groups=(select(0, 5),))) == [2]
    assert [stop.detail for stop in run(act.Group(1), groups=(select(1, 5),)).stops] == ["select group"]
    assert stops(run(act.Group(1), groups=(select(0),))) == [DropShape.NO_LIVE_BUCKET, DropShape.NO_OUTPUT]
    assert stops(run(act.Group(9))) == [None]


def test_a_register_holds_a_port_a_reserved_port_or_no_port_at_all(run: Run) -> None:
    def by_register(value: int, width: int = 16) -> Visit:
        load = act.SetField(field("reg0"), value, 0xFFFFFFFF)
        return run(load, act.OutputSubField(SubField(field("reg0"), 0, width)))

    assert ports(by_register(3)) == [3]
    assert ports(by_register(0xFFF8)) == [1]
    assert ports(by_register(0xFFFE)) == [act.OFPP_LOCAL]
    assert stops(by_register(0x10003, 32))[0] is DropShape.PORT_GONE
    unknown = run(act.Move(SubField(field("tun_metadata1"), 0, 16), REG0), act.OutputSubField(REG0))
    assert [(stop.shape, stop.detail) for stop in unknown.stops] == [(None, "the port number in reg0 is not known")]


def test_failed_outputs_say_which_port_and_why(run: Run) -> None:
    visit = run(act.Output(8), act.Output(77), act.Output(1), act.Output(act.OFPP_ANY))
    assert [(stop.shape, stop.port) for stop in visit.stops[:3]] == [
        (DropShape.PORT_DOWN, 8),
        (DropShape.PORT_GONE, 77),
        (DropShape.OUTPUT_TO_INGRESS, None),
    ]


@pytest.mark.parametrize(
    ("actions", "shape"),
    [
        ((), DropShape.TABLE_MISS_FLOW),
        ((act.Note(b""),), DropShape.NO_OUTPUT),
        ((act.GotoTable(4),), DropShape.NO_MATCH),
        ((act.Controller(7),), None),
        ((act.Output(act.OFPP_CONTROLLER),), None),
    ],
)
def test_silence_has_a_shape(
    tables: Callable[..., BridgeTables],
    flow: Callable[..., Flow],
    headers: Callable[..., Headers],
    actions: tuple[act.Action, ...],
    shape: DropShape | None,
) -> None:
    view = BridgeView(tables(flow(0, 0, Match(), *actions)))
    visit = evaluate(view, packed_state(headers(), 1, None), 118, None)
    assert stops(visit) == [shape]


def test_an_empty_flow_above_the_miss_is_an_explicit_drop(run: Run) -> None:
    assert stops(run()) == [DropShape.EXPLICIT_DROP]


def test_the_packet_length_decides_check_pkt_larger(run: Run) -> None:
    def larger(limit: int) -> Visit:
        return run(act.CheckPacketLarger(limit, SubField(field("reg0"), 1, 1)), act.OutputSubField(REG0))

    assert ports(larger(100)) == [2]
    assert stops(larger(118)) == [DropShape.PORT_GONE, DropShape.NO_OUTPUT]


def test_meters_are_told_in_order_and_drop_nothing(run: Run) -> None:
    (emission,) = run(act.Meter(3), act.Meter(5), act.Output(2)).emissions
    assert emission.meters == (3, 5)


def test_an_output_knows_the_search_that_sent_it(run: Run, flow: Callable[..., Flow]) -> None:
    (emission,) = run(act.Resubmit(None, 4), act.Output(2), more=(flow(4, 1, Match(), act.Note(b"")),)).emissions
    assert [found.table_id for found in emission.found] == [0, 4]
    assert emission.step == 0


def test_an_unknown_connection_stops_the_walk_where_it_would_recirculate(run: Run) -> None:
    visit = run(act.Conntrack(True, False, 0, 1), ct_state=None)
    assert (stops(visit), ports(visit)) == ([None], [])


def test_recirculating_for_ever_ends(run: Run) -> None:
    visit = run(act.Conntrack(True, False, 0, 0))
    assert len(visit.searches) == MAX_RECIRCULATIONS + 1
    assert DropShape.RECURSION_LIMIT in stops(visit)


def test_copies_that_multiply_for_ever_are_given_up_undecided(run: Run) -> None:
    visit = run(act.Conntrack(True, False, 0, 0), act.Conntrack(True, False, 1, 0))
    assert len(visit.searches) == MAX_PASSES
    assert visit.stops[-1].shape is None
    assert visit.stops[-1].detail == "more than 256 recirculated copies"


def test_every_action_is_decided_on(run: Run) -> None:
    sub = SubField(field("reg0"), 0, 16)
    samples: list[act.Action] = [
        act.Output(2), act.OutputSubField(sub), act.Group(1), act.SetField(field("reg0"), 1, 1), act.Move(sub, sub),
        act.Push(sub), act.Pop(sub), act.Resubmit(None, 1), act.Controller(1), act.PushVlan(0x8100), act.PopVlan(),
        act.PushMpls(0x8847), act.PopMpls(0x800), act.DecMplsTtl(), act.Multipath(1, sub, b""),
        act.Bundle(True, (2,), None, b""),
        act.DecTtl(), act.Meter(1), act.Conntrack(False, False, 0, 1), act.Nat(source=True, destination=False),
        act.ConntrackClear(), act.Clone(()), act.SetTunnelId(1), act.Learn(1), act.Note(b""), act.Exit(),
        act.Conjunction(1, 0, 2), act.CheckPacketLarger(1, sub), act.Neutral("set_queue", b""),
        act.UnknownAction("x", b""),
    ]  # fmt: skip
    assert {type(sample) for sample in samples} == set(get_args(act.Action))
    for sample in samples:
        visit = run(sample)
        assert visit.emissions or visit.stops
