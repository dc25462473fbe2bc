from vtrace_ovs.lab.faults import connections
from vtrace_ovs.lab.faults.fault import Fault, FaultName, resolved
from vtrace_ovs.lab.faults.kinds import ProgramEdit, Programmed
from vtrace_ovs.lab.server import programs
from vtrace_ovs.model.overlay import Overlay


def _added(overlay: Overlay, name: FaultName, server: str) -> dict[str, str]:
    """What a server of the lab gets in addition: actions by match."""
    kind = connections.FAULTS[name]
    assert isinstance(kind.way, ProgramEdit)
    program = programs(overlay, overlay.server(server))["br-int"]
    fault = resolved(Fault(name), overlay, of_sender=kind.of_sender)
    edited = kind.way.edit(Programmed(overlay, server, "br-int", program), fault)
    assert set(program.flows) <= set(edited.flows)
    return {flow.match: flow.actions for flow in edited.flows if flow not in program.flows}


def test_what_comes_to_the_vm_is_tracked_in_its_own_zone_and_dropped_by_state(overlay: Overlay) -> None:
    added = _added(overlay, FaultName.REPLY_NOT_ESTABLISHED, "cs1")
    assert added["ip,reg2=0xa,ct_state=-trk"] == "ct(table=40,zone=10)"
    assert added["ipv6,reg2=0xa,ct_state=+trk+new"] == added["ip,reg2=0xa,ct_state=+trk+inv"] == "drop"
    assert len(added) == 6


def test_only_invalid_packets_are_dropped_where_new_ones_may_pass(overlay: Overlay) -> None:
    assert not any("+new" in match for match in _added(overlay, FaultName.CONNECTION_INVALID, "cs1"))
    assert _added(overlay, FaultName.CONNECTION_INVALID, "cs2") == {}
