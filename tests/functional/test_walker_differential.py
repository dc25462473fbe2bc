"""Holds the walker's evaluation of one bridge against ``ofproto/trace`` on a real ovs-vswitchd, on generated tables."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from walker_generator import PACKETS, tables
from walker_judge import Judge, Packet, judging
from walker_wire_generator import WireCase, wire_cases

from vtrace_ovs.model.flow import Flow

TABLE_SETS = 150
WIRE_TABLE_SETS = 100
LEAST_MEGAFLOWS = 500


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with judging(tmp_path_factory.mktemp("judge") / "ovs") as found:
        yield found
        assert found.megaflows >= LEAST_MEGAFLOWS


@settings(
    max_examples=TABLE_SETS,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking asks Open vSwitch for minutes; a failure shows all its flows as they are
    suppress_health_check=list(HealthCheck),
)
@given(generated=tables(), packets=PACKETS)
def test_open_vswitch_and_the_walker_agree_on_generated_tables_and_packets(
    judge: Judge, generated: list[Flow], packets: list[Packet]
) -> None:
    judge.agree(generated, packets)


@settings(
    max_examples=WIRE_TABLE_SETS,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking asks Open vSwitch for minutes; a failure shows all its flows as they are
    suppress_health_check=list(HealthCheck),
)
@given(case=wire_cases())
def test_open_vswitch_and_the_walker_agree_on_frames_of_every_kind(judge: Judge, case: WireCase) -> None:
    judge.agree(case.flows, case.packets)
