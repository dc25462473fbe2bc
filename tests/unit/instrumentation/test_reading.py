from dataclasses import replace

import pytest

from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Probe, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.probes import UserData
from vtrace_ovs.instrumentation.reading import read_log
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.actions import OFPP_IN_PORT, ApplyActions, Output
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, Field
from vtrace_ovs.model.records import Loc, PacketIn
from vtrace_ovs.model.topology import Bridge

PRODUCTION = (
    Flow(0, 1, Match(), (ApplyActions((Output(1),)),)),
    Flow(0, 2, Match.of(MaskedField(IN_PORT, 6, IN_PORT.full_mask)), (ApplyActions((Output(OFPP_IN_PORT),)),)),
)


@pytest.fixture
def plan(bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask) -> BridgePlan:
    return plan_bridge(bridge, BridgeTables(1, 0.0, PRODUCTION), (task,), scene, settings=settings, now=0.0)


def out(plan: BridgePlan, port: int) -> Probe:
    return next(probe for probe in plan.probes if probe.out_port == port)


def copy(plan: BridgePlan, probe: Probe, state: State | None, **fields: int) -> PacketIn:
    metadata: list[tuple[Field, int]] = [(IN_PORT, fields.get("in_port", 3))]
    if state is not None:
        metadata.append((plan.state.field, state.word))
    userdata = UserData(probe.kind, probe.id, 1).pack()
    return PacketIn(1, 0, 0, 1, tuple(metadata), userdata, b"", 60, 0.0)


def test_a_copy_tells_probe_task_hop_and_tenant_dscp(plan: BridgePlan) -> None:
    state = State(traced=True, marked=True, index=2, code=7, dscp=0, slot=5)
    reading = read_log(copy(plan, out(plan, 1), state), plan)
    assert reading is not None
    assert reading.probe.loc is Loc.OUT
    assert (reading.traced, reading.slot, reading.hop_index, reading.dscp) == (True, 5, 2, 0)
    assert (reading.marked, reading.suppressed) == (True, False)


def test_when_no_mark_is_left_the_packet_leaves_unmarked(plan: BridgePlan) -> None:
    state = State(traced=True, marked=True, index=6, code=0, dscp=0, slot=5)
    reading = read_log(copy(plan, out(plan, 1), state), plan)
    assert reading is not None
    assert not reading.marked


@pytest.mark.parametrize(("out_port", "in_port", "suppressed"), [(1, 1, True), (1, 6, False), (6, 6, False)])
def test_output_to_the_ingress_port_is_suppressed_unless_it_is_meant(
    plan: BridgePlan, out_port: int, in_port: int, suppressed: bool
) -> None:
    reading = read_log(copy(plan, out(plan, out_port), State(traced=True), in_port=in_port), plan)
    assert reading is not None
    assert reading.suppressed is suppressed


def test_what_is_not_ours_or_of_another_plan_is_not_read(plan: BridgePlan) -> None:
    good = copy(plan, out(plan, 1), State())
    assert read_log(good, plan) is not None
    assert read_log(replace(good, userdata=b"other"), plan) is None
    assert read_log(replace(good, metadata=()), plan) is None
    assert read_log(good, replace(plan, probes=())) is None
