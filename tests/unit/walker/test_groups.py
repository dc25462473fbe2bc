from collections.abc import Callable

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.visit import Visit

ANY = act.OFPP_ANY


@pytest.fixture
def process(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], headers: Callable[..., Headers]
) -> Callable[..., Visit]:
    """What a group of these (weight, watched port) buckets does; bucket n outputs to port n."""

    def visited(kind: GroupType, *buckets: tuple[int, int]) -> Visit:
        made = tuple(
            Bucket(weight, watched, ANY, (act.Output(2 + at),)) for at, (weight, watched) in enumerate(buckets)
        )
        stored = tables(flow(0, 1, Match(), act.Group(5)), groups=(GroupEntry(5, kind, made),), down=(8,))
        return evaluate(BridgeView(stored), packed_state(headers(), 1, None), 118, None)

    return visited


def ports(visit: Visit) -> list[int]:
    return [emission.port for emission in visit.emissions]


def test_all_runs_every_bucket_and_failover_the_first_that_lives(process: Callable[..., Visit]) -> None:
    assert ports(process(GroupType.ALL, (0, ANY), (0, ANY))) == [2, 3]
    assert ports(process(GroupType.FAST_FAILOVER, (0, 8), (0, 4), (0, 5))) == [3]
    assert process(GroupType.FAST_FAILOVER, (0, 8)).stops[0].shape is DropShape.NO_LIVE_BUCKET


def test_a_select_group_names_the_buckets_a_hash_chooses_from(process: Callable[..., Visit]) -> None:
    (stop,) = process(GroupType.SELECT, (1, ANY), (1, 8), (0, ANY), (2, 4)).stops
    assert (stop.shape, stop.detail) == (DropShape.UNSUPPORTED, "select group")
    assert stop.note == "group 5 chooses by a hash: output:2; or output:5"
    assert ports(process(GroupType.SELECT, (1, 8), (1, 4))) == [3]


def test_a_group_nobody_stored_is_unknown(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], headers: Callable[..., Headers]
) -> None:
    view = BridgeView(tables(flow(0, 1, Match(), act.Group(5))))
    (stop,) = evaluate(view, packed_state(headers(), 1, None), 118, None).stops
    assert (stop.shape, stop.detail) == (None, "group 5 was not stored with the tables")
