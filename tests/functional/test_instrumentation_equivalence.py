"""D3: our flows among production change nothing: ``ofproto/trace`` before and after, on generated VFDs."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from equivalence_generator import Line, Wanted, World, worlds
from equivalence_judge import Bench, Tally, bench
from equivalence_packets import Packet
from equivalence_rules import Kind
from hypothesis import HealthCheck, Phase, given, settings

from vtrace_ovs.instrumentation.plan import BridgePlan

WORLDS = 160
FIRST = Wanted("ip", {"nw_src": "10.0.0.1"}, None, (1,), None)
TENANT = Packet(1, "udp")


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("equivalence") / "ovs") as found:
        yield found


def test_generated_pipelines_forward_every_packet_exactly_as_without_us(court: Bench) -> None:
    tally = Tally()

    @settings(
        max_examples=WORLDS,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(world=worlds())
    def compare(world: World) -> None:
        tally.add(court, world)

    compare()
    assert not tally.differences, tally.differences[0]
    assert sum(tally.cases.values()) >= 1000
    assert all(tally.cases[kind] > 0 for kind in Kind)
    assert min(tally.copies, tally.marked, tally.recirculated) > 0
    assert sum(tally.refused.values()) * 3 <= tally.worlds
    assert all(re.search(r"table=\d+|group \d+", reason) for reason in tally.refused)


def world(*near: Line, far: tuple[Line, ...] = (), packets: tuple[Packet, ...] = (TENANT,)) -> World:
    return World(near, far, (FIRST,), packets)


def test_megaflows_of_other_ports_look_at_no_more_bits_of_addresses_because_of_ours(court: Bench) -> None:
    near = Line(0, 5, {"ip": "", "nw_src": "10.0.0.8/29"}, "output:3")
    others = (Packet(3, "tcp", source="10.0.0.3"), Packet(3, "udp", destination="10.0.0.3", source="10.0.0.9"))
    trials, _ = court.try_out(world(near, packets=(*others, TENANT)))
    assert [(trial.kind, trial.difference) for trial in trials] == [
        (Kind.ELSEWHERE, None),
        (Kind.ELSEWHERE, None),
        (Kind.TRACED, None),
    ]


@pytest.mark.parametrize("final", ["meter:7,output:2", "ct(commit,zone=4,nat(dst=10.0.0.3)),output:2"])
def test_what_the_next_vfd_cannot_undo_stays_away_from_later_outputs(court: Bench, final: str) -> None:
    near = Line(0, 5, {"ip": ""}, "output:2,output:3")
    trials, _ = court.try_out(world(near, far=(Line(0, 5, {"ip": ""}, final),)))
    assert [(trial.kind, trial.difference) for trial in trials] == [(Kind.TRACED, None)]


def test_packets_are_kept_apart_exactly_where_productions_own_first_flow_keeps_them(court: Bench) -> None:
    """A translation beyond the patch port stays beyond it for UDP, and goes on to the next output for TCP."""
    translating = Line(1, 5, {"ip": "", "ct_state": "-trk"}, "ct(commit,nat(dst=10.0.0.3)),output:2")
    far = (
        Line(0, 9, {"udp": ""}, "meter:7,resubmit(,1)"),
        Line(0, 8, {"tcp": "", "tp_dst": "443"}, "resubmit(,1)"),
        Line(0, 7, {"tcp": ""}, "meter:7,resubmit(,1)"),
        Line(0, 1, {}, "resubmit(,1)"),
        translating,
    )
    near = Line(0, 5, {"ip": ""}, "output:2,output:3")
    https, http = (replace(TENANT, protocol="tcp", destination_port=port) for port in (443, 80))
    packets = (TENANT, https, http, replace(TENANT, protocol="icmp"), replace(https, tos=12))
    trials, refusal = court.try_out(world(near, far=far, packets=packets))
    assert refusal is None
    assert [trial.difference for trial in trials] == [None] * 5


@pytest.mark.parametrize("rest", ["output:3", "resubmit(,1)", "goto_table:1"])
def test_production_controllers_know_packets_by_the_cookie_they_gave(court: Bench, rest: str) -> None:
    near = (Line(0, 5, {"ip": ""}, f"controller(max_len=60),{rest}"), Line(1, 5, {"udp": ""}, "output:3"))
    trials, _ = court.try_out(world(*near, packets=(TENANT, replace(TENANT, ttl=1))))
    assert [(trial.kind, trial.difference) for trial in trials] == [(Kind.TRACED, None)] * 2


def test_the_judge_sees_one_packet_that_goes_elsewhere(court: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    install = Bench.install

    def disturbing(self: Bench, name: str, plan: BridgePlan) -> None:
        install(self, name, plan)
        self.ovs.ofctl("add-flow", name, f"cookie={0x5654 << 48:#x},priority=9,icmp actions=output:2,output:3")

    monkeypatch.setattr(Bench, "install", disturbing)
    trials, _ = court.try_out(world(Line(0, 5, {"ip": ""}, "output:3"), packets=(TENANT, Packet(3, "icmp"))))
    assert [trial.difference is None for trial in trials] == [True, False]
