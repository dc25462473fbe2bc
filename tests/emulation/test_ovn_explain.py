"""``vtrace explain`` on a real OVN says what Open vSwitch says at every chassis a packet passes."""

import pytest

from vtrace_ovs.cli.explaining import Request, explained
from vtrace_ovs.lab.ovn import INTEGRATION_BRIDGE, OvnLab
from vtrace_ovs.lab.ovn_network import BLOCKED, VMS
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.walker.state import CT_NEW, CT_TRACKED

pytest_plugins = ("ovn_fixtures",)

PAIRS = {f"{one.name} to {other.name}": (one, other) for one in VMS for other in VMS if one is not other}


@pytest.mark.parametrize("name", PAIRS)
def test_open_vswitch_agrees_on_the_way_of_a_ping_from(ovn: OvnLab, name: str) -> None:
    sender, receiver = PAIRS[name]
    next_hop = receiver.mac if sender.switch == receiver.switch else f"{sender.mac[:-2]}fe"
    request = Request(
        packet=f"icmp,nw_src={sender.address},nw_dst={receiver.address},dl_src={sender.mac},dl_dst={next_hop}",
        at=f"{sender.chassis}/{INTEGRATION_BRIDGE}:{sender.name}",
        ct_state=CT_NEW | CT_TRACKED,
        against_ovs=True,
    )
    answer = explained(request, ",".join(chassis.ovs.ovsdb for chassis in ovn.chassis.values()), ovn.central.remote)
    forbidden = sender is BLOCKED and receiver.switch == "data"
    assert answer.result.verdict.disposition is (Disposition.DROPPED if forbidden else Disposition.DELIVERED)
    if forbidden:
        assert answer.result.verdict.culprit is not None
        assert "drop to-lport" in (answer.result.verdict.culprit.owner or "")
    assert [(each.agrees, each.sentence) for each in answer.agreements if not each.agrees] == []
    assert len(answer.agreements) == len({sender.chassis, receiver.chassis})
