from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket, conclude, unseen
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import CopyTally, Scene
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]

REQUEST = TraceRequest(Filter("tcp"))
FROM_CS1 = TraceRequest(Filter("tcp"), Scope(source_vm="vm-cs1"))
CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
DEAD = "ovs-vswitchd does not answer on its management socket"


@pytest.fixture
def packet(
    hop: MakeHop, way: Way, flow: Callable[..., FlowKey], scene: Scene
) -> Callable[[str, int], list[DiagnosedPacket]]:
    """Packets that were all delivered, denied or left open."""
    deny = Step(20, flow(20, 9, tcp_dst=443), 0x53, "drop")
    ways = {
        "delivered": way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2)),
        "denied": way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", deny, drop=DropShape.EXPLICIT_DROP)),
        "denied elsewhere": way(Ending.DROPPED, hop("cs2/br-int", 1, "in error", deny, drop=DropShape.EXPLICIT_DROP)),
        "unknown": way(Ending.UNKNOWN, hop("gw1/br-int", 1)),
        "exited": way(Ending.EXITED, hop("cs1/br-int", 1, out_port=0xFFFFFFFE)),
    }

    def build(fate: str, count: int) -> list[DiagnosedPacket]:
        observed = ways[fate]
        return [
            DiagnosedPacket(replace(observed, packet_id=f"{fate}{n}"), None, diagnose(observed, None, scene))
            for n in range(count)
        ]

    return build


def test_identical_paths_are_one_group_with_a_count(
    packet: Callable[[str, int], list[DiagnosedPacket]], scene: Scene
) -> None:
    result = conclude(4, REQUEST, packet("delivered", 20), scene)
    assert result.task_id == 4
    assert [group.packets for group in result.groups] == [20]
    assert result.packets == 20
    assert result.verdict.disposition is Disposition.DELIVERED
    assert result.verdict.operator_sentence.startswith("All 20 packets: handed to port 2")


def test_a_proven_loss_wins_over_delivery_and_is_counted(
    packet: Callable[[str, int], list[DiagnosedPacket]], scene: Scene
) -> None:
    result = conclude(1, REQUEST, [*packet("delivered", 59), *packet("denied", 1)], scene)
    assert result.verdict.code is CauseCode.SECURITY_RULE_DENY
    assert result.verdict.operator_sentence.startswith("1 of 60 packets: denied by a security rule")
    assert result.verdict.tenant_sentence.startswith("1 of 60 packets we followed: one of your security rules")
    assert [group.packets for group in result.groups] == [59, 1]
    assert result.notes == ("59 packets of 60: Handed to port 2 (tap-cs1-b) of cs1/br-int, the port of vm-cs1-b.",)


def test_every_loss_is_told_with_its_packets_and_the_greatest_is_the_tasks_own(
    packet: Callable[[str, int], list[DiagnosedPacket]], scene: Scene
) -> None:
    packets = [*packet("denied", 2), *packet("denied elsewhere", 3), *packet("delivered", 9)]
    result = conclude(1, REQUEST, packets, scene, ("a note",))
    assert result.verdict.culprit is not None
    assert result.verdict.culprit.bridge == CS2
    assert [(fate.packets, result.share(fate)) for fate in result.losses] == [(3, 3 / 14), (2, 2 / 14)]
    assert [fate.verdict.culprit and fate.verdict.culprit.bridge for fate in result.losses] == [CS2, CS1]
    sentence = result.verdict.operator_sentence
    assert sentence.startswith("3 of 14 packets: denied by a security rule in cs2/br-int")
    assert " 2 of 14 packets: denied by a security rule in cs1/br-int" in sentence
    assert result.verdict.remedy == result.losses[0].verdict.remedy, "the same remedy is told once"
    assert result.verdict.tenant_sentence.startswith("5 of 14 packets we followed: one of your security rules")
    assert result.verdict.tenant_sentence.count("packets we followed") == 1, "tenants are not told of places"
    assert result.notes == (
        "9 packets of 14: Handed to port 2 (tap-cs1-b) of cs1/br-int, the port of vm-cs1-b.",
        "a note",
    )


def test_delivery_wins_over_exits_and_doubt(packet: Callable[[str, int], list[DiagnosedPacket]], scene: Scene) -> None:
    doubtful = [*packet("unknown", 2), *packet("exited", 2)]
    assert conclude(1, REQUEST, doubtful, scene).verdict.disposition is Disposition.EXITED
    result = conclude(1, REQUEST, [*doubtful, *packet("delivered", 1)], scene)
    assert result.verdict.disposition is Disposition.DELIVERED
    assert conclude(1, REQUEST, packet("unknown", 1), scene).verdict.disposition is Disposition.INCONCLUSIVE


def test_one_packet_needs_no_count(packet: Callable[[str, int], list[DiagnosedPacket]], scene: Scene) -> None:
    result = conclude(1, REQUEST, packet("denied", 1), scene)
    assert result.verdict.operator_sentence.startswith("Denied by a security rule")


def test_lost_copies_are_counted_in_the_result(scene: Scene) -> None:
    lossy = replace(scene, copies_capped={CS1: 3}, copies={CS2: CopyTally(9, 2)})
    assert conclude(1, REQUEST, [], lossy).copies_lost == 5


def test_no_packet_at_all_means_not_sent(scene: Scene) -> None:
    result = conclude(1, REQUEST, [], scene)
    assert result.verdict.disposition is Disposition.UNSEEN
    assert (result.verdict.code, result.verdict.category) == (CauseCode.NOT_SENT, CauseCategory.TENANT_VM)
    assert result.verdict.confidence is Confidence.INFERRED
    assert result.packets == 0


def test_counters_of_copies_at_zero_prove_that_nothing_was_sent(scene: Scene) -> None:
    verdict = unseen(REQUEST, replace(scene, copies={CS1: CopyTally(0), CS2: CopyTally(0)}))
    assert (verdict.code, verdict.confidence) == (CauseCode.NOT_SENT, Confidence.OBSERVED)


def test_packets_counted_but_not_logged_are_not_unsent(scene: Scene) -> None:
    for lossy in (
        replace(scene, copies={CS1: CopyTally(4, 4)}),
        replace(scene, copies_capped={CS1: 1}),
    ):
        verdict = unseen(REQUEST, lossy)
        assert (verdict.disposition, verdict.code) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST)


def test_marked_packets_that_nobody_was_seen_to_mark_leave_it_open_whether_any_was_sent(scene: Scene) -> None:
    verdict = unseen(REQUEST, replace(scene, uncolored=2))
    assert (verdict.disposition, verdict.code) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST)
    assert "2 marked packets" in verdict.operator_sentence


def test_a_dead_source_is_why_nothing_was_seen(scene: Scene) -> None:
    dead = replace(scene, unreachable={CS1: DEAD})
    verdict = unseen(FROM_CS1, dead)
    assert (verdict.disposition, verdict.code) == (Disposition.UNSEEN, CauseCode.VSWITCHD_DEAD)
    assert DEAD in verdict.operator_sentence


def test_a_source_nobody_watched_does_not_accuse_the_sender(scene: Scene) -> None:
    for blind in (replace(scene, unreachable={CS1: DEAD}), replace(scene, unobserved={CS1: "it has no OpenFlow 1.3"})):
        verdict = unseen(REQUEST, blind)
        assert (verdict.disposition, verdict.code) == (Disposition.UNSEEN, CauseCode.EVIDENCE_LOST)
        assert verdict.confidence is Confidence.UNDECIDED


def test_a_sender_that_asks_for_its_destination_in_vain_is_the_cause(scene: Scene) -> None:
    target = IPv4Address("10.0.1.13")
    request = TraceRequest(Filter("ip", destination=IPv4Network("10.0.1.13/32")))
    verdict = unseen(request, replace(scene, unanswered={IPv4Address("10.0.1.1"): 9, target: 3}))
    assert (verdict.disposition, verdict.code) == (Disposition.UNSEEN, CauseCode.NEIGHBOUR_UNRESOLVED)
    assert verdict.confidence is Confidence.INFERRED
    assert verdict.operator_sentence.endswith("who has 10.0.1.13 and gets no answer.")
    assert "10.0.1.13" not in verdict.tenant_sentence


def test_a_sender_that_asks_for_somebody_else_in_vain_may_have_that_cause(scene: Scene) -> None:
    request = TraceRequest(Filter("ip", destination=IPv4Network("10.0.2.22/32")))
    verdict = unseen(request, replace(scene, unanswered={IPv4Address("10.0.1.1"): 3}))
    assert verdict.code is CauseCode.NEIGHBOUR_UNRESOLVED
    assert "if that is its next hop to the destination" in verdict.operator_sentence


def test_lost_copies_and_dead_sources_come_before_a_question(scene: Scene) -> None:
    asked = replace(scene, unanswered={IPv4Address("10.0.1.1"): 3})
    assert unseen(FROM_CS1, replace(asked, unreachable={CS1: DEAD})).code is CauseCode.VSWITCHD_DEAD
    assert unseen(REQUEST, replace(asked, copies_capped={CS1: 2})).code is CauseCode.EVIDENCE_LOST


def test_delivery_is_not_the_verdict_where_most_packets_may_have_met_anything(
    packet: Callable[[str, int], list[DiagnosedPacket]], scene: Scene
) -> None:
    half = conclude(1, REQUEST, [*packet("delivered", 2), *packet("unknown", 2)], scene)
    assert half.verdict.disposition is Disposition.DELIVERED
    most = conclude(1, REQUEST, [*packet("delivered", 2), *packet("unknown", 3)], scene)
    assert most.verdict.disposition is Disposition.INCONCLUSIVE
    assert any(note.startswith("2 packets of 5: Handed to") for note in most.notes)
