import typing
from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import TCP_DST
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, NearMiss, Origin, Step, Trajectory
from vtrace_ovs.model.verdict import (
    CauseCategory,
    CauseCode,
    Confidence,
    Culprit,
    Disposition,
    Fate,
    PathGroup,
    TaskResult,
    Verdict,
)

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]


@pytest.fixture
def hop() -> MakeHop:
    def make(place: str = "server1/br-int", **known: object) -> Hop:
        node, name = place.split("/")
        return Hop(**{"bridge": BridgeId(node, name), "dscp_mark": 1, "in_port": 3, **known})  # type: ignore[arg-type]

    return make


@pytest.fixture
def way() -> MakeWay:
    def make(*hops: Hop, ending: Ending = Ending.HANDED_TO_PORT, origin: Origin = Origin.OBSERVED) -> Trajectory:
        return Trajectory(1, "digest", 0, origin, None, hops, ending)

    return make


@pytest.fixture
def verdict() -> MakeVerdict:
    def make(disposition: Disposition = Disposition.DELIVERED, **known: object) -> Verdict:
        fixed = (disposition, CauseCategory.NONE, CauseCode.NONE, Confidence.OBSERVED, "For you.", "For them.")
        return Verdict(*fixed, **known)  # type: ignore[arg-type]

    return make


FLOW = FlowKey(40, 100, Match.of(MaskedField(TCP_DST, 443, 0xFFFF)))


def _whole(kind: type, **fixed: st.SearchStrategy[typing.Any]) -> st.SearchStrategy[typing.Any]:
    """Values of a dataclass with every field drawn, defaults included."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: fixed.get(name, st.from_type(hint)) for name, hint in hints.items()})


def _few(values: st.SearchStrategy[typing.Any]) -> st.SearchStrategy[typing.Any]:
    return st.lists(values, max_size=2).map(tuple)


@pytest.fixture(scope="session")
def any_result() -> st.SearchStrategy[TaskResult]:
    """Results with any text, number and enum anywhere; only matches are real."""
    flows = st.none() | st.just(FLOW)
    near_misses = _few(_whole(NearMiss, flow=st.just(FLOW)))
    hops = _whole(Hop, steps=_few(_whole(Step, flow=flows, near_misses=near_misses)))
    ways = _whole(Trajectory, hops=_few(hops))
    verdicts = _whole(Verdict, culprit=st.none() | _whole(Culprit, flow=flows), near_misses=near_misses)
    groups = _whole(PathGroup, verdict=verdicts, example=ways, prediction=st.none() | ways)
    fates = _whole(Fate, verdict=verdicts)
    return _whole(TaskResult, verdict=verdicts, groups=_few(groups), losses=_few(fates))
