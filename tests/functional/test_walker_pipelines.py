"""Holds the walker of one bridge against ``ofproto/trace`` on a real ovs-vswitchd, pipeline by pipeline."""

from collections.abc import Iterator

import pytest
from walker_judge import Judge, Packet, judging
from walker_pipelines import PIPELINES

PACKETS = (
    Packet(),
    Packet(ttl=1, in_port=3),
    Packet(protocol=17, vlan=5, in_port=4, destination="10.9.9.9"),
    Packet(arp_op=1, in_port=2, eth_dst=0xFFFFFFFFFFFF),
    Packet(tracked=True, eth_dst=4, vlan=5),
)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with judging(tmp_path_factory.mktemp("judge") / "ovs") as found:
        yield found


@pytest.mark.parametrize("name", PIPELINES)
def test_open_vswitch_and_the_walker_agree_that(judge: Judge, name: str) -> None:
    assert all(not each.open for each in judge.agree(PIPELINES[name], PACKETS))
