"""Whatever is found, what tenants are told names nothing of the infrastructure (idea N19)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest

from vtrace_ovs.diagnosis.blame import Counters
from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket, conclude
from vtrace_ovs.diagnosis.exchange import exchange
from vtrace_ovs.diagnosis.prediction import foresee
from vtrace_ovs.diagnosis.rules import diagnose, not_judged
from vtrace_ovs.diagnosis.scene import CopyTally, MeterReading, Scene
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import FlowKey, MeterEntry, PortCounters
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeController, BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, NearMiss, Step, Trajectory
from vtrace_ovs.model.verdict import TaskResult, Verdict

REQUEST = TraceRequest(Filter("tcp"))
CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]
NUMBERED = re.compile(r"0x[0-9a-f]+|\b(table|port|meter|vni|cookie|priority)s?[ =]\d", re.IGNORECASE)


def scenes(scene: Scene) -> Iterator[Scene]:
    """The scene, and what can be wrong in it."""
    run = BridgeController("tcp:192.0.2.9:6653", connected=False)
    bridges = tuple(
        replace(bridge, controllers=(run,), external_ids=(("k", "v"),)) for bridge in scene.topology.bridges
    )
    whole = replace(scene, topology=replace(scene.topology, bridges=bridges))
    yield whole
    yield replace(whole, profiles={})
    yield replace(whole, meters=(MeterReading(CS1, MeterEntry(7, 10, 5, packets=True), 60, 41),))
    yield replace(whole, unreachable={CS1: "ovs-vswitchd of cs1 is dead", CS2: "ovs-vswitchd of cs2 is dead"})
    yield replace(whole, unobserved={CS2: "cs2/br-int has no OpenFlow 1.3"})
    yield replace(whole, copies_capped={CS1: 3}, hop_limit=1)
    yield replace(whole, copies={CS2: CopyTally(9, 1)}, uncolored=2)


@pytest.fixture
def ways(
    hop: MakeHop, way: Way, flow: Callable[..., FlowKey], tunnel: Callable[[str, str], Tunnel]
) -> list[Trajectory]:
    """A way that ends at each end there is, dropped in each shape there is, in tables of every meaning."""
    found: list[Trajectory] = []
    for ending, drop, table in product(Ending, (None, *DropShape), (0, 5, 10, 20, 30)):
        if (ending is Ending.DROPPED) is (drop is None):
            continue
        key = flow(table, 9, tcp_dst=443)
        near = NearMiss(key, 0x53, (("tcp_dst", "443", "80"),))
        step = Step(table, key, 0x53, "drop", near_misses=(near,))
        known = {"drop": drop, "meters": (7,), "note": "vxlan0 of cs1/br-int", "unsupported": "bundle on cs1/br-int"}
        first = hop("cs1/br-int", 1, "in out", out_port=10, left_by=tunnel("cs1", "cs2"))
        seen = "in error" if drop is not None else "in"
        found.append(way(ending, first, hop("cs2/br-int", 2, seen, step, out_port=1, **known)))
        found.append(
            way(ending, hop("cs1/br-int", 1, "in out", step, out_port=10, left_by=tunnel("cs1", "cs2"), **known))
        )
    return found


def results(ways: list[Trajectory], scene: Scene) -> Iterator[TaskResult]:
    ports = {
        (bridge.id, port.ofport): PortCounters(port.ofport, 1, 2, 3, 4)
        for bridge in scene.topology.vfds()
        for port in bridge.ports
    }
    for there in scenes(scene):
        yield conclude(1, REQUEST, [], there)
        for predicted in (None, ways[0], ways[-1]):
            packets = [DiagnosedPacket(way, predicted, diagnose(way, predicted, there)) for way in ways]
            yield conclude(1, REQUEST, packets, there, counters=Counters(ports=ports))
            yield from (conclude(1, REQUEST, [packet], there) for packet in packets)


def given_away(scene: Scene, verdict: Verdict) -> list[str]:
    names = {node.name for node in scene.topology.nodes} | {str(v) for node in scene.topology.nodes for v in node.vteps}
    names |= {bridge.id.name for bridge in scene.topology.bridges}
    names |= {port.name for bridge in scene.topology.bridges for port in bridge.ports} - {"up"}  # a word, too
    names |= {"192.0.2.9", "security group rule", "lab"}
    told = verdict.tenant_sentence
    return [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", told)] + NUMBERED.findall(told)


def test_no_name_of_the_scene_gets_into_what_tenants_are_told(ways: list[Trajectory], scene: Scene) -> None:
    found = list(results(ways, scene))
    both = [exchange(request, reply).verdict for request in found[:40] for reply in (found[0], found[-1])]
    foreseen = [foresee(way, scene) for way in ways]
    verdicts = [result.verdict for result in found] + both + foreseen + [not_judged("cs1/br-int failed in table 5")]
    assert [verdict.tenant_sentence for verdict in verdicts if given_away(scene, verdict)] == []
    assert len({verdict.code for verdict in verdicts}) >= 20, "so many causes were met"
    assert any(given_away(scene, replace(one, tenant_sentence=one.operator_sentence)) for one in verdicts)


def test_a_name_in_a_sentence_would_be_found(scene: Scene) -> None:
    verdict = not_judged("x")
    for words in ("lost at cs1.", "by 0x53", "in table 40", "from 172.31.0.11"):
        assert given_away(scene, replace(verdict, tenant_sentence=words))
