"""Tenants whose frames carry VLAN tags, and bridges that push, change and pop them between VFDs (as Neutron's do)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_overlay import DEADLINE, Overlay
from scapy.layers.inet import IP
from scapy.layers.l2 import Dot1Q
from scapy.utils import rdpcap

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import TaskState

TRUNK, LOCAL, PROVIDER = 100, 7, 300
PRODUCTION = {
    "sw1": f"priority=9,in_port=1,dl_vlan={TRUNK},ip "
    f"actions=strip_vlan,push_vlan:0x8100,set_field:{LOCAL + 4096}->vlan_vid,output:2",
    "sw2": f"priority=9,in_port=2,dl_vlan={LOCAL},ip actions=mod_vlan_vid:{PROVIDER},output:1\n"
    "priority=1,ip,in_port=2 actions=drop",
}
TRACE = ("run", "udp,nw_src=10.0.0.1,tp_dst=53", "-n", "3", "-t", "15", "-o", "json")


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path, production=PRODUCTION)


@pytest.fixture
def ovs(overlay: Overlay) -> Iterator[OvsInstance]:
    with overlay.up() as instance:
        yield instance


def traced(overlay: Overlay, ovs: OvsInstance) -> Any:  # noqa: ANN401 - a JSON document
    """The result of three tagged packets."""
    with overlay.background(*TRACE, VTRACE_OVSDB=ovs.ovsdb) as process:
        overlay.wait_for(TaskState.ARMED, process)
        overlay.send(ovs, "10.0.0.2", 3, vlan=TRUNK)
        out, err = process.communicate(timeout=DEADLINE)
    assert out, err
    return json.loads(out)


def test_a_tagged_packet_is_followed_and_arrives_with_its_tag_and_without_our_mark(
    overlay: Overlay, ovs: OvsInstance
) -> None:
    captured = overlay.directory / "vm2.pcap"
    ovs.vsctl("set", "interface", "vm2", f"options:tx_pcap={captured}")
    before = overlay.fingerprints()
    result = traced(overlay, ovs)
    assert result["verdict"]["disposition"] == "DELIVERED"
    (group,) = result["groups"]
    changes = [change for hop in group["path"]["hops"] for change in hop["changes"]]
    assert [change["field"] for change in changes] == ["vlan_tci", "vlan_tci"]
    arrived = rdpcap(str(captured))
    assert [(frame[Dot1Q].vlan, frame[IP].tos) for frame in arrived] == [(PROVIDER, 0)] * 3
    assert overlay.fingerprints() == before


def test_a_wrong_tag_between_two_bridges_is_named_by_the_flow_that_drops_it(overlay: Overlay, ovs: OvsInstance) -> None:
    wrong = PRODUCTION["sw1"].replace(f"set_field:{LOCAL + 4096}", f"set_field:{LOCAL + 4097}")
    ovs.ofctl("replace-flows", "sw1", "-", stdin=wrong)
    verdict = traced(overlay, ovs)["verdict"]
    assert verdict["disposition"] == "DROPPED"
    assert verdict["culprit"]["bridge"].endswith("/sw2")
    assert verdict["culprit"]["flow"]["priority"] == 1
