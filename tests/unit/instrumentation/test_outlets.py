from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.instrumentation.inlets import inlet_flows
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.outlets import marking_ports, outlet_flows, told_apart, tunnel_keys
from vtrace_ovs.instrumentation.plan import ArmedTask, Gate
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.instrumentation.site import Site
from vtrace_ovs.model.actions import Meter
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import FlowMod
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import ETH_TYPE, IN_PORT, IP_PROTO, TUN_DST, TUN_ID, field
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.topology import BridgeId, Node, Port, PortKind


def leaving(site: Site) -> list[FlowMod]:
    return [mod for mod in outlet_flows(site) if mod.table_id == 252]


def words(mod: FlowMod) -> tuple[int | None, ...]:
    found = (mod.match.get(entry) for entry in (IN_PORT, TUN_ID, TUN_DST))
    return tuple(None if masked is None else masked.value for masked in found)


def test_a_server_is_armed_when_all_its_tunnel_bridges_are(site: Site) -> None:
    assert set(site.scene.vteps) == {IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")}
    everyone = replace(site, scene=replace(site.scene, armed=site.scene.armed | {BridgeId("s3", "br0")}))
    assert everyone.scene.vteps[IPv4Address("192.0.2.3")] == "s3"
    assert [port.ofport for port in marking_ports(site)] == [2, 3, 4]
    assert [port.ofport for port in marking_ports(everyone)] == [2, 3, 4, 5]


def test_marks_go_where_the_next_vfd_will_recognise_the_packet(site: Site) -> None:
    vtep = int(IPv4Address("192.0.2.2"))
    assert [words(mod) for mod in leaving(site)] == [(2, None, None), (3, 5001, vtep), (4, None, None)]
    assert all(mod.match.get(site.state.field) == site.state.of_task(5) for mod in leaving(site))


def test_no_mark_is_prepared_for_servers_that_no_flow_points_at(site: Site) -> None:
    def ports(*destinations: str) -> list[int | None]:
        aimed = frozenset(map(IPv4Address, destinations))
        return [port for port, _, vtep in map(words, leaving(replace(site, destinations=aimed))) if vtep is not None]

    assert ports("192.0.2.2", "198.51.100.7", "192.0.2.1") == [3]
    assert ports("198.51.100.7") == []


def test_what_leaves_marked_is_what_the_next_vfd_takes_for_marked(site: Site) -> None:
    def five_tuple(mod: FlowMod) -> Match:
        return Match(tuple(m for m in mod.match.fields if m.field not in {IN_PORT, TUN_ID, TUN_DST, site.state.field}))

    arriving = {five_tuple(mod) for mod in inlet_flows(site) if mod.table_id == 253 and mod.priority == 2}
    assert {five_tuple(mod) for mod in leaving(site)} == arriving


def test_marks_are_written_and_taken_off_in_the_tasks_families_only(site: Site) -> None:
    def families(asked: Site) -> set[int]:
        flows = (*outlet_flows(asked), *(mod for mod in inlet_flows(asked) if mod.table_id == 0))
        return {masked.value for mod in flows if (masked := mod.match.get(ETH_TYPE)) is not None}

    six = replace(site.tasks[0], slot=6, filter=Filter("ipv6", family=IpFamily.IPV6))
    assert families(site) == {0x0800}
    assert families(replace(site, tasks=(six,))) == {0x86DD}
    assert families(replace(site, tasks=(*site.tasks, six))) == {0x0800, 0x86DD}


def test_ipv6_tunnels_are_matched_by_their_own_field(site: Site) -> None:
    nodes = (*site.scene.topology.nodes[:1], Node("s2", "", (IPv6Address("2001:db8::2"),)))
    topology = replace(site.scene.topology, nodes=nodes)
    mods = leaving(replace(site, scene=replace(site.scene, topology=topology)))
    assert any(mod.match.get(field("tun_ipv6_dst")) for mod in mods)


def test_packets_of_protocol_zero_are_counted_as_ended_before_a_tunnel_would_take_them_for_marked(site: Site) -> None:
    """Packets have that protocol wherever a filter lets them have it: where it names none, or this one."""

    def unmarkable(*protocols: int | None, family: IpFamily = IpFamily.IPV4) -> list[FlowMod]:
        filters = (Filter("any", protocol=protocol, family=family) for protocol in protocols)
        tasks = tuple(replace(site.tasks[0], slot=slot, filter=one) for slot, one in enumerate(filters))
        asked = replace(site, tasks=tasks, scene=replace(site.scene, marks=MarkPlan.counting()))
        highest = max(mod.priority for mod in leaving(asked))
        found = [mod for mod in leaving(asked) if mod.priority == highest]
        return [mod for mod in found if mod.match.get(IP_PROTO) == exactly(IP_PROTO, 0)]

    ended = {(site.book.meters.counting(Gate.ENDED, color),) for color in (0, 1)}
    for asked in (unmarkable(None), unmarkable(6, None), unmarkable(17, 0, None)):
        assert [words(mod) for mod in asked] == [(port, None, None) for port in (3, 3, 4, 4)]
        assert {tuple(step.meter_id for step in mod.instructions if isinstance(step, Meter)) for mod in asked} == ended
        assert all(len(mod.instructions) == 1 for mod in asked), "no mark is prepared"
    six = unmarkable(None, family=IpFamily.IPV6)
    assert {mod.match.get(ETH_TYPE) for mod in six} == {exactly(ETH_TYPE, IpFamily.IPV6)}
    assert unmarkable(6, 17) == []


def test_the_vni_counts_only_where_the_flow_sets_it(task: ArmedTask) -> None:
    flow_based, fixed = Port(1, "a", PortKind.TUNNEL), Port(2, "b", PortKind.TUNNEL, key=9)
    assert len(tunnel_keys(flow_based, replace(task, vnis=frozenset({1, 2})))) == 2
    for port, vnis in ((flow_based, None), (fixed, frozenset({1})), (Port(3, "c", PortKind.PATCH), frozenset({1}))):
        assert tunnel_keys(port, replace(task, vnis=vnis)) == ((),)


def test_a_patch_port_is_for_the_tenant_of_its_vni(task: ArmedTask) -> None:
    patch = Port(2, "to-rt", PortKind.PATCH, vni=5001)
    assert tunnel_keys(patch, task) == ((),)
    assert tunnel_keys(patch, replace(task, vnis=frozenset({7001}))) == ()
    assert tunnel_keys(patch, replace(task, vnis=None)) == ((),)


def test_tenants_are_told_apart_where_the_port_or_the_tunnel_says_whose_it_is(task: ArmedTask) -> None:
    other = replace(task, vnis=frozenset({7001}))
    tunnel, fixed = Port(3, "vx", PortKind.TUNNEL), Port(4, "to-s2", PortKind.TUNNEL, key=7)
    patch, nameless = Port(2, "to-rt", PortKind.PATCH, vni=5001), Port(5, "patch", PortKind.PATCH)
    assert [told_apart(port, task, other) for port in (tunnel, fixed, patch, nameless)] == [True, False, True, False]
    assert not any(told_apart(port, task, replace(other, vnis=None)) for port in (tunnel, patch))


def test_the_dscp_is_written_once_and_otherwise_restored(site: Site) -> None:
    write, restore = (mod for mod in outlet_flows(site) if mod.table_id == 251)
    assert write.priority > restore.priority
    assert write.match == restore.match.with_fields(site.state.marked())
