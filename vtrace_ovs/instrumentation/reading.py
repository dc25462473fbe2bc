"""Turns a packet-in of ours into the probe that sent it and the state the packet carried there."""

from dataclasses import dataclass

from vtrace_ovs.instrumentation.plan import BridgePlan, Probe
from vtrace_ovs.instrumentation.probes import UserData
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.oxm import IN_PORT
from vtrace_ovs.model.records import PacketIn


@quickly_built
@dataclass(frozen=True, slots=True)
class LogReading:
    """One copy, read.

    ``slot`` is the task's; ``hop_index`` counts VFDs from 1; ``dscp`` is the tenant's own. For ``out``, ``marked`` says
    whether the packet leaves with a mark, so that the next VFD will log it; False also when the marks are used up or
    the port leads out of reach. ``suppressed`` means that OVS will not send it: the port is the one it came from.
    """

    probe: Probe
    traced: bool
    slot: int
    hop_index: int
    dscp: int
    marked: bool
    suppressed: bool


def read_log(packet_in: PacketIn, plan: BridgePlan) -> LogReading | None:
    """Which probe of ``plan`` sent this packet-in, and what the packet's state was.

    None when it is not ours, of another plan, or without state.
    """
    userdata = UserData.of(packet_in.userdata)
    probe = None if userdata is None else plan.probe(userdata.probe_id)
    if probe is None:
        return None
    fields = dict(packet_in.metadata)
    state = State.of(fields.get(plan.state.field, 0))
    if state is None:
        return None
    return LogReading(
        probe=probe,
        traced=state.traced,
        slot=state.slot,
        hop_index=state.index,
        dscp=state.dscp,
        marked=state.marked and state.code != state.dscp,
        suppressed=probe.out_port is not None and not probe.hairpin and fields.get(IN_PORT) == probe.out_port,
    )
