from collections.abc import Callable

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.mac_table import MacEntry, MacTable
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import SubField, field
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.visit import Visit

REG0 = SubField(field("reg0"), 0, 16)
Run = Callable[..., Visit]


@pytest.fixture
def run(
    tables: Callable[..., BridgeTables],
    flow: Callable[..., Flow],
    headers: Callable[..., Headers],
    topology: Topology,
) -> Run:
    """A packet from port 1 to 00:…:02, learned behind port 5; ports 3 to 8 are down, and 2 is a patch port."""

    def visited(*actions: act.Action) -> Visit:
        stored = tables(flow(0, 1, Match(), *actions), down=(3, 4, 6, 7, 8))
        bridge = topology.bridge(BridgeId("a", "sw"))
        view = BridgeView(stored, bridge, mac_table=MacTable((MacEntry(2, 0, 5),), no_flood=frozenset({9})))
        return evaluate(view, packed_state(headers(), 1, None), 118, None)

    return visited


def ports(visit: Visit) -> list[int]:
    return [emission.port for emission in visit.emissions]


def unknown(visit: Visit) -> list[str | None]:
    return [stop.detail for stop in visit.stops if stop.shape is None]


def test_floods_go_to_every_other_port_that_is_up(run: Run) -> None:
    assert ports(run(act.Output(act.OFPP_ALL))) == [2, 5, 9, act.OFPP_LOCAL]


def test_a_port_set_to_take_no_floods_takes_none(run: Run) -> None:
    assert ports(run(act.Output(act.OFPP_FLOOD))) == [2, 5, act.OFPP_LOCAL]


def test_normal_asks_the_mac_table_and_the_packet_itself_goes_on_unchanged(run: Run) -> None:
    assert ports(run(act.Output(act.OFPP_NORMAL), act.Output(2))) == [5, 2]


def test_a_flood_over_ports_nobody_stored_is_unknown(
    flow: Callable[..., Flow], headers: Callable[..., Headers]
) -> None:
    view = BridgeView(BridgeTables(1, 0.0, (flow(0, 1, Match(), act.Output(act.OFPP_FLOOD)),)))
    visit = evaluate(view, packed_state(headers(), 1, None), 118, None)
    assert unknown(visit) == ["FLOOD goes to ports that were not stored with the tables"]


def test_an_output_is_cut_only_toward_ports_a_datapath_has(run: Run) -> None:
    visit = run(act.Output(5, 64), act.Output(2, 64), act.Output(act.OFPP_IN_PORT, 64), act.Output(9))
    assert [(each.port, each.max_len) for each in visit.emissions] == [(5, 64), (9, 0)]


def test_a_bundle_outputs_or_loads_the_first_live_member(run: Run) -> None:
    assert ports(run(act.Bundle(True, (3, 5, 9), None, b""))) == [5]
    assert ports(run(act.Bundle(True, (3, 5), REG0, b""), act.OutputSubField(REG0))) == [5]
    assert ports(run(act.Bundle(False, (3, 9), None, b""))) == [9]
    assert ports(run(act.Bundle(True, (3, 4), None, b""), act.Output(9))) == [9]


def test_what_a_hash_chooses_is_unknown_by_name(run: Run) -> None:
    assert unknown(run(act.Bundle(False, (5, 9), None, b""))) == ["bundle chooses one of the ports 5, 9 by a hash"]
    assert unknown(run(act.Multipath(4, REG0, b""))) == ["multipath chooses one of 4 links by a hash"]
    assert ports(run(act.SetField(field("reg0"), 5, 0xFFFFFFFF), act.Multipath(1, REG0, b""), act.Output(9))) == [9]
