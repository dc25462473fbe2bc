from collections.abc import Callable

import pytest

from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict

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
