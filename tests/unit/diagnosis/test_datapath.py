from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.datapath import datapaths_of, followed
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.datapath import Contradiction, DatapathQuestion, DatapathReading
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
SEEN, LATER = 100.0, 102.0
DROPS = Contradiction(
    "in_port(6),ipv4(dst=172.31.0.12)", "drop", "tnl_pop(3)", ("tnl_pop(3)",), used_at=101.0, outer=True
)
INSIDE = replace(DROPS, megaflow="tunnel(tun_id=0x65)", outer=False)
MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]


@pytest.fixture
def gone(sent: Trajectory) -> Trajectory:
    return replace(sent, first_seen=SEEN, last_seen=SEEN)


def reading(question: DatapathQuestion, *found: Contradiction, at: float = LATER) -> DatapathReading:
    return DatapathReading(question, at, 1, 0, found)


def test_the_datapaths_in_question_are_that_left_and_that_to_come_to(gone: Trajectory) -> None:
    here, there = datapaths_of(gone, "cs2")
    assert (here.node, here.tunnel, there.node, there.vni) == ("cs1", None, "cs2", 101)
    assert datapaths_of(gone, "cs1") == (here,)
    assert datapaths_of(gone, None) == (here,)


def test_bridges_of_one_server_share_what_the_packet_came_into_it_as(
    hop: MakeHop, way: Way, tunnel: Callable[[str, str], Tunnel]
) -> None:
    first = hop("cs1/br-int", 1, out_port=10, left_by=tunnel("cs1", "gw1"))
    second = hop("gw1/br-int", 2, out_port=20, arrived_by=tunnel("cs1", "gw1"))
    third = hop("gw1/vr-blue", 3, out_port=1)
    (question,) = datapaths_of(way(Ending.ON_WIRE, first, second, third), "gw1")
    arrived = tunnel("cs1", "gw1")
    assert (question.node, question.tunnel) == ("gw1", (arrived.source, arrived.destination))


@pytest.mark.parametrize("found", [DROPS, INSIDE])
def test_a_datapath_flow_that_contradicts_the_tables_is_why_nothing_came(
    found: Contradiction, gone: Trajectory, scene: Scene
) -> None:
    here, there = datapaths_of(gone, "cs2")
    verdict = diagnose(gone, None, replace(scene, datapaths=(reading(here), reading(there, found))))
    assert (verdict.disposition, verdict.code) == (Disposition.LOST_IN_VFD, CauseCode.STALE_MEGAFLOW)
    assert (verdict.category, verdict.confidence) == (CauseCategory.VFD_FAULT, Confidence.CORROBORATED)
    assert verdict.culprit == Culprit("cs2", CS2)
    assert f"{found.megaflow} does drop, and leaves out tnl_pop(3)" in verdict.operator_sentence
    assert "cs2" not in verdict.tenant_sentence


def test_the_datapath_the_packet_was_last_in_may_be_it(gone: Trajectory, opened: Trajectory, scene: Scene) -> None:
    (here,) = datapaths_of(gone, None)
    stale = replace(scene, datapaths=(reading(here, INSIDE),))
    silent = replace(opened, first_seen=SEEN, last_seen=SEEN)
    for way in (gone, silent):
        assert diagnose(way, None, stale).culprit == Culprit("cs1", CS1)
    assert diagnose(silent, None, scene).code is CauseCode.UNKNOWN


@pytest.mark.parametrize(
    ("at", "used_at"),
    [(SEEN - 1, SEEN), (LATER, SEEN - 5)],
    ids=["read before the packet was lost", "met no packet since"],
)
def test_what_was_found_at_another_time_says_nothing_of_this_packet(
    at: float, used_at: float, gone: Trajectory, scene: Scene
) -> None:
    _, there = datapaths_of(gone, "cs2")
    found = reading(there, replace(DROPS, used_at=used_at), at=at)
    assert diagnose(gone, None, replace(scene, datapaths=(found,))).code is CauseCode.UNDERLAY_LOSS


def test_outer_packets_of_one_tunnel_share_a_datapath_flow_and_others_do_not(gone: Trajectory, scene: Scene) -> None:
    _, there = datapaths_of(gone, "cs2")
    sibling = replace(there, traffic=replace(there.traffic, source_port=1, destination_port=2))
    assert there.tunnel is not None
    backwards = (there.tunnel[1], there.tunnel[0])
    for question, found, code in (
        (sibling, DROPS, CauseCode.STALE_MEGAFLOW),
        (sibling, INSIDE, CauseCode.UNDERLAY_LOSS),
        (replace(sibling, tunnel=backwards), DROPS, CauseCode.UNDERLAY_LOSS),
        (replace(sibling, node="gw1"), DROPS, CauseCode.UNDERLAY_LOSS),
    ):
        verdict = diagnose(gone, None, replace(scene, datapaths=(reading(question, found),)))
        assert verdict.code is code


@pytest.mark.parametrize(
    ("compared", "unknown", "in_line"), [(2, 0, True), (0, 0, True), (2, 1, False), (None, None, False)]
)
def test_a_loss_on_the_wire_says_whether_the_datapaths_are_known_to_follow(
    compared: int | None, unknown: int | None, in_line: bool, gone: Trajectory, scene: Scene
) -> None:
    readings = tuple(DatapathReading(one, LATER, compared, unknown) for one in datapaths_of(gone, "cs2"))
    verdict = diagnose(gone, None, replace(scene, datapaths=readings))
    assert verdict.code is CauseCode.UNDERLAY_LOSS
    assert verdict.evidence[-1].observed is in_line
    assert ("or dropped in the datapath of cs1 and cs2" in verdict.operator_sentence) is not in_line


@pytest.mark.parametrize(
    ("compared", "unknown", "found", "told"),
    [
        (2, 0, (DROPS,), (False, f"the datapath contradicts the tables: {DROPS.megaflow} does drop, and leaves out")),
        (3, 0, (), (True, "3 datapath flows")),
        (0, 0, (), (None, "the datapath has no flow for it now")),
        (2, 1, (), (None, "whether the datapath does what the tables say could not be told")),
        (None, None, (), (None, "whether the datapath does what the tables say could not be told")),
    ],
)
def test_what_a_datapath_does_is_said_in_words(
    compared: int | None,
    unknown: int | None,
    found: tuple[Contradiction, ...],
    told: tuple[bool | None, str],
    gone: Trajectory,
) -> None:
    question, _ = datapaths_of(gone, "cs2")
    follows, sentence = followed(DatapathReading(question, LATER, compared, unknown, found))
    assert follows is told[0]
    assert sentence.startswith(told[1])
