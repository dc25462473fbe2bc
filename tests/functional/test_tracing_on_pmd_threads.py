"""Datapaths whose threads forward beside ovs-vswitchd's main one, as with DPDK and AF_XDP ports."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_overlay import DEADLINE, Overlay
from scapy.layers.inet import IP
from scapy.utils import rdpcap

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import TaskState

PACKETS = 30
TRACE = ("run", "udp,nw_src=10.0.0.1,tp_dst=53", "-n", str(PACKETS), "-t", "15", "-o", "json")


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path, ports="dummy-pmd")


@pytest.fixture
def ovs(overlay: Overlay) -> Iterator[OvsInstance]:
    with overlay.up() as instance:
        assert "pmd thread" in instance.appctl("dpif-netdev/pmd-rxq-show")
        yield instance


def traced(overlay: Overlay, ovs: OvsInstance, destination: str) -> Any:  # noqa: ANN401 - a JSON document
    with overlay.background(*TRACE, VTRACE_OVSDB=ovs.ovsdb) as process:
        overlay.wait_for(TaskState.ARMED, process)
        overlay.send(ovs, destination, PACKETS)
        out, err = process.communicate(timeout=DEADLINE)
    assert out, err
    return json.loads(out)


def test_packets_are_followed_and_arrive_without_our_mark(overlay: Overlay, ovs: OvsInstance) -> None:
    captured = overlay.directory / "vm2.pcap"
    ovs.vsctl("set", "interface", "vm2", f"options:tx_pcap={captured}")
    before = overlay.fingerprints()
    result = traced(overlay, ovs, "10.0.0.2")
    assert (result["verdict"]["disposition"], result["verdict"]["confidence"]) == ("DELIVERED", "observed")
    assert [group["packets"] for group in result["groups"]] == [PACKETS]
    assert result["task"]["copies_lost"] == 0
    assert [frame[IP].tos for frame in rdpcap(str(captured))] == [0] * PACKETS
    assert overlay.fingerprints() == before


def test_the_flow_that_drops_them_is_named(overlay: Overlay, ovs: OvsInstance) -> None:
    before = overlay.fingerprints()
    verdict = traced(overlay, ovs, "10.0.0.9")["verdict"]
    assert (verdict["disposition"], verdict["confidence"]) == ("DROPPED", "observed")
    assert verdict["culprit"]["bridge"].endswith("/sw2")
    assert verdict["culprit"]["flow"]["priority"] == 10
    assert overlay.fingerprints() == before
