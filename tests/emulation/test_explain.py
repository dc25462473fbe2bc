"""``vtrace explain`` foretells what real packets meet in the lab, and Open vSwitch's own trace agrees."""

import json
from collections.abc import Iterator
from itertools import permutations

import pytest
from vtrace_program import Vtrace, sending, vfds

from vtrace_ovs.cli.explaining import Explanation, Request, explained
from vtrace_ovs.cli.known_tables import live_tables
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.codecs.dump_text import DumpFile, tables_of
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.overlay import OverlayVm
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.model.wording import flow_text, instructions_text

TRAFFIC = (
    (TrafficProtocol.ICMP, None),
    (TrafficProtocol.TCP, 443),
    (TrafficProtocol.TCP, 22),
    (TrafficProtocol.TCP, 25),
    (TrafficProtocol.UDP, 5000),
    (TrafficProtocol.UDP, 5001),
)


def pairs(lab: Lab) -> Iterator[tuple[OverlayVm, OverlayVm]]:
    """Every VM with every other of its tenant."""
    for tenant in lab.base.tenants:
        yield from permutations(tenant.vms, 2)


def packet(lab: Lab, source: OverlayVm, destination: OverlayVm, protocol: TrafficProtocol, port: int | None) -> str:
    """What the source sends: to the destination's MAC address in its own subnet, else to its gateway's."""
    subnet = lab.base.subnet_of(source)
    towards = destination.mac if destination.subnet == source.subnet else subnet.gateway_mac
    kind = "icmp,icmp_type=8,icmp_code=0" if port is None else f"{protocol.value},tp_src=40000,tp_dst={port}"
    return f"{kind},nw_src={source.address},nw_dst={destination.address},dl_dst={towards}"


def explanation(lab: Lab, text: str, source: OverlayVm) -> Explanation:
    request = Request(packet=text, source_vm=source.name, against_ovs=True)
    return explained(request, ",".join(lab.state().ovsdb_remotes))


@pytest.mark.parametrize(("protocol", "port"), TRAFFIC, ids=lambda part: str(getattr(part, "value", part)))
def test_every_pair_of_vms_is_explained_as_open_vswitch_traces_it(
    lab: Lab, protocol: TrafficProtocol, port: int | None
) -> None:
    asked = 0
    for source, destination in pairs(lab):
        found = explanation(lab, packet(lab, source, destination, protocol, port), source)
        story = f"{source.name} to {destination.name}: {found}"
        assert found.problems == (), story
        assert found.result.verdict.disposition in {Disposition.DELIVERED, Disposition.DROPPED}, story
        assert all(one.agrees for one in found.agreements), story
        assert found.result.verdict.disposition is not Disposition.DELIVERED or (
            found.result.groups[0].example.hops[-1].bridge.node == destination.server
        ), story
        asked += len(found.agreements)
    assert asked > len(tuple(pairs(lab)))


@pytest.mark.parametrize(("protocol", "port"), TRAFFIC[:3] + TRAFFIC[4:], ids=lambda p: str(getattr(p, "value", p)))
def test_real_packets_fare_as_explained(lab: Lab, protocol: TrafficProtocol, port: int | None) -> None:
    chosen = [("blue-web1", "blue-db2"), ("blue-web1", "blue-web2"), ("blue-db1", "blue-web1"), ("red-db2", "red-web1")]
    for source_name, destination_name in chosen:
        source, destination = lab.base.vm(source_name), lab.base.vm(destination_name)
        found = explanation(lab, packet(lab, source, destination, protocol, port), source)
        report = lab.traffic.run(
            TrafficRequest(source_name, destination_name, protocol, port, rate=100, count=3, timeout=3)
        )
        assert (report.replies > 0) == (found.result.verdict.disposition is Disposition.DELIVERED), found


def wordings(tables: BridgeTables) -> set[str]:
    return {
        f"{flow_text(flow.key, flow.cookie)} actions={instructions_text(flow.instructions)}" for flow in tables.flows
    }


def test_the_dump_of_every_pipeline_says_what_openflow_says(lab: Lab) -> None:
    known = live_tables(read_settings(), lab.state().ovsdb_remotes)
    assert known.problems == ()
    for server, bridge in vfds(lab):
        ovs = lab.ovs(server)
        socket = str(ovs.management_socket(bridge))
        live = known.tables[BridgeId(server, bridge)]
        for names in ("--names", "--no-names"):
            texts = [ovs.run("ovs-ofctl", "-O", "OpenFlow13", names, what, socket) for what in ("dump-flows", "show")]
            dumped = tables_of([DumpFile("dump", text) for text in texts], 0.0)
            assert {flow.key for flow in dumped.flows} == {flow.key for flow in live.flows}
            assert wordings(dumped) == wordings(live)


def test_a_drop_names_its_rule_with_its_owner_and_what_nearly_matched(lab: Lab) -> None:
    source, destination = lab.base.vm("blue-web1"), lab.base.vm("blue-db2")
    found = explanation(lab, packet(lab, source, destination, TrafficProtocol.TCP, 8080), source)
    verdict = found.result.verdict
    assert (verdict.code.value, verdict.drop and verdict.drop.value) == ("security-default-deny", "table-miss flow")
    assert verdict.culprit is not None
    assert str(verdict.culprit.bridge) == "cs3/br-int"
    assert verdict.near_misses[0].differences == (("tcp_dst", "5432", "8080"),)


def test_a_recorded_packet_walks_the_tables_of_its_task(lab: Lab, program: Vtrace) -> None:
    text = "udp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=5000"
    with sending(lab):
        traced = program("run", text, "--from", "blue-web1", "-n", "3", "-o", "json")
    assert traced.returncode == 0, traced.stderr
    wrong = program("explain", "--task", "1", "--record", "99999")
    assert wrong.returncode == 2
    first = wrong.stderr.rpartition("one of ")[2].split()[0]
    explained_again = program("explain", "--task", "1", "--record", first, "-o", "json")
    assert explained_again.returncode == 0, explained_again.stderr
    (group,) = json.loads(explained_again.stdout)["groups"]
    observed = json.loads(traced.stdout)["groups"][0]["path"]
    assert [hop["bridge"] for hop in group["path"]["hops"]] == [hop["bridge"] for hop in observed["hops"]]
    assert group["path"]["origin"] == "predicted"
