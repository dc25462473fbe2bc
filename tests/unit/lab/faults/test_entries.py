from dataclasses import replace

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults import entries
from vtrace_ovs.lab.faults.fault import Fault, FaultName, resolved
from vtrace_ovs.lab.faults.kinds import ProgramEdit, Programmed
from vtrace_ovs.lab.numbering import CookieKind, cookie
from vtrace_ovs.lab.program import BridgeProgram, FlowLine
from vtrace_ovs.lab.server import programs
from vtrace_ovs.model.overlay import Overlay, with_tenant

DB2, DB2_MAC, DB1_MAC = "reg2=0xe", "02:01:0a:00:02:16", "02:01:0a:00:02:15"


def _changes(overlay: Overlay, fault: Fault) -> list[str]:
    """What a controller installs otherwise, as ``server/bridge - selector actions`` and ``+``."""
    kind = entries.FAULTS[fault.name]
    assert isinstance(kind.way, ProgramEdit)
    there = resolved(fault, overlay, of_sender=kind.of_sender)
    found = []
    for server in overlay.servers:
        for bridge, program in programs(overlay, server).items():
            edited = kind.way.edit(Programmed(overlay, server.name, bridge, program), there)
            old, new = ({f"{flow.selector} {flow.actions}" for flow in each.flows} for each in (program, edited))
            found += [f"{server.name}/{bridge} - {line}" for line in sorted(old - new)]
            found += [f"{server.name}/{bridge} + {line}" for line in sorted(new - old)]
    return found


@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        (FaultName.UNKNOWN_NEXT_HOP, "gw1/vr-blue", "0e:01:0a:00:02:16->eth_dst"),
        (FaultName.WRONG_NEXT_HOP, "gw1/vr-blue", f"{DB1_MAC}->eth_dst"),
        (FaultName.UNKNOWN_VNI, "cs3/br-int", "in_port=1,tun_id=0x44e "),
        (FaultName.VLAN_MISMATCH, "cs1/br-int", "in_port=10,dl_vlan=100 "),
        (FaultName.WRONG_VTEP, "gw1/br-int", f"dl_dst={DB2_MAC} set_field:0x66->tun_id,set_field:172.31.0.12->tun_dst"),
        (FaultName.VTEP_OF_NOBODY, "gw1/br-int", "set_field:172.31.0.254->tun_dst"),
        (FaultName.OUTPUT_TO_INGRESS, "cs3/br-int", f"dl_dst={DB2_MAC} set_field:0x66->tun_id"),
        (FaultName.NO_OUTPUT, "cs3/br-int", f"{DB2} load:1"),
        (FaultName.EXPLICIT_DROP, "cs3/br-int", f"{DB2} drop"),
    ],
)
def test_one_bridge_gets_another_entry_for_the_victim(
    overlay: Overlay, name: FaultName, place: str, words: str
) -> None:
    changes = _changes(overlay, Fault(name))
    assert {change.partition(" ")[0] for change in changes} == {place}
    assert any(words in change for change in changes if " + " in change)


def test_a_vm_in_a_vlan_may_still_ask_for_addresses(overlay: Overlay) -> None:
    assert any("arp,in_port=10 " in change for change in _changes(overlay, Fault(FaultName.VLAN_MISMATCH)))


def test_only_its_own_server_knows_an_unknown_destination(overlay: Overlay) -> None:
    changes = _changes(overlay, Fault(FaultName.UNKNOWN_DESTINATION))
    assert {change.partition(" ")[0] for change in changes} == {"cs2/br-int", "gw1/br-int"}
    assert all(" - " in change and DB2_MAC in change for change in changes)


def test_a_missing_output_is_one_flow_less(overlay: Overlay) -> None:
    (change,) = _changes(overlay, Fault(FaultName.TABLE_MISS))
    assert change.startswith("cs3/br-int - ")
    assert DB2 in change


@pytest.mark.parametrize("name", [FaultName.WRONG_NEXT_HOP, FaultName.WRONG_VTEP])
def test_a_mistake_needs_somebody_to_mistake_the_victim_for(overlay: Overlay, name: FaultName) -> None:
    blue = overlay.tenant("blue")
    alone = with_tenant(overlay, replace(blue, vms=tuple(vm for vm in blue.vms if vm.name != "blue-db1")))
    with pytest.raises(UsageError, match=name.value):
        _changes(alone, Fault(name))


@pytest.mark.parametrize("name", entries.FAULTS)
def test_underlay_switches_have_no_forwarding_entries_to_break(overlay: Overlay, name: FaultName) -> None:
    way = entries.FAULTS[name].way
    assert isinstance(way, ProgramEdit)
    program = BridgeProgram.of((FlowLine(0, 1, "ip", "output:1", cookie(CookieKind.UNDERLAY)),))
    there = resolved(Fault(name), overlay, of_sender=entries.FAULTS[name].of_sender)
    assert way.edit(Programmed(overlay, "pfd1", "pfd1", program), there) == program
