"""On healthy networks no datapath flow contradicts the tables: recirculation, tunnels and the slow path are none."""

from contextlib import ExitStack

from ovn_traffic import pinging, sending
from vtrace_program import await_that

from vtrace_ovs.codecs.datapath_flows import datapath_flows, left_out, traced_actions
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.ovn import OvnLab
from vtrace_ovs.lab.ovn_network import BLOCKED, OUTSIDE_ADDRESS, VMS
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

pytest_plugins = ("ovn_fixtures",)

WEB1, WEB2, DATA1, DATA2 = VMS


def await_in_line(ovs: OvsInstance, least: int) -> None:
    """Until there are so many datapath flows, and each does what Open vSwitch says of its key."""

    def flows() -> str:
        return ovs.appctl("dpctl/dump-flows", "-m", "--no-names")

    def in_line() -> bool:
        found = datapath_flows(flows())
        told = [(flow.actions, traced_actions(ovs.appctl("ofproto/trace", flow.key))) for flow in found]
        return len(told) >= least and all(said is not None and not left_out(does, said) for does, said in told)

    await_that(in_line, flows)


def test_the_datapaths_of_the_lab_are_in_line(lab: Lab) -> None:
    protocols = ((TrafficProtocol.ICMP, None), (TrafficProtocol.TCP, 443), (TrafficProtocol.UDP, 5000))
    numbers = [
        lab.traffic.start(TrafficRequest("blue-web1", "blue-db2", protocol, port, rate=20, count=0))
        for protocol, port in protocols
    ]
    try:
        for server in ("cs1", "gw1", "cs3"):
            await_in_line(lab.ovs(server), 2 * len(protocols))
    finally:
        for number in numbers:
            lab.traffic.stop(number)


def test_the_datapaths_of_ovn_are_in_line(ovn: OvnLab) -> None:
    with ExitStack() as traffic:
        for sender, address in (
            *((sender, vm.address) for sender, vm in ((WEB1, DATA1), (WEB1, WEB2), (WEB1, DATA2), (BLOCKED, DATA1))),
            (WEB1, OUTSIDE_ADDRESS),
        ):
            traffic.enter_context(pinging(ovn, sender, str(address)))
        traffic.enter_context(sending(ovn, WEB1, DATA1.address, 161))
        for chassis in ovn.chassis.values():
            await_in_line(chassis.ovs, 3 * len(VMS))
