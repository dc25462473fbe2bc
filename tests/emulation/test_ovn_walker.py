"""Holds the walker against the integration bridges of a real OVN, whose flows nobody here wrote."""

from pathlib import Path
from time import monotonic

import pytest
from ovn_corpus import ESTABLISHED, LENGTH, NEW, OUTSIDE, Packet, corpus
from ovn_judge import OPEN, OvnBridge, Tally, bridge_of

from vtrace_ovs.lab.ovn import OvnLab
from vtrace_ovs.lab.ovn_network import BLOCKED, VIP_OF_ONE, VMS
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.walker import Network, WalkSettings, WalkStart, layout, walk
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.state import TUNNEL, PacketState

pytest_plugins = ("ovn_fixtures",)

LIMITATIONS = Path(__file__).parents[2] / "docs" / "limitations.md"
KNOWN = {
    "select group": "which bucket of a select group",
    "the packet went to a controller only, and what comes back is not in the tables": "packets ovn-controller answers",
}
"""What the walker may leave open on OVN, and what docs/limitations.md calls it."""
UNKNOWN_MARK = "the flows here match on ct_mark, and its value is not known"
SOURCES = {"web1": "c1", "data1": "c1", OUTSIDE: "c1", "web2": "c2", "data2": "c2"}


@pytest.mark.parametrize("source", SOURCES)
def test_the_walker_and_open_vswitch_agree_on_packets_from(
    bridges: dict[str, OvnBridge], source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bridge, tally = bridges[SOURCES[source]], Tally()
    port = bridge.port(source)
    for packet in corpus(source, seed=1):
        bridge.compare(packet, f"in_port={port},{packet.text}", packed_state(packet.headers, port, None), tally)
    with capsys.disabled():
        tally.print(source)
    assert tally.open.keys() <= KNOWN.keys()
    assert tally.claimed + tally.punted + tally.simulated > 0.9 * tally.packets
    assert tally.claimed > 0.6 * tally.packets
    assert tally.longest > 60  # resubmits of a whole logical pipeline


def test_without_an_assumption_the_mark_of_an_established_connection_is_left_open(
    bridges: dict[str, OvnBridge],
) -> None:
    bridge = bridges["c1"]
    packet = Packet("web1", VMS[0].mac, f"{VMS[0].mac[:-2]}fe", VMS[0].address, VMS[2].address, ct_state=ESTABLISHED)
    state = packed_state(packet.headers, bridge.port("web1"), None)
    visit = evaluate(bridge.view, state, LENGTH, ESTABLISHED)
    assert [stop.detail for stop in visit.stops] == [UNKNOWN_MARK]


def test_what_the_walker_leaves_open_on_ovn_is_documented() -> None:
    text = " ".join(LIMITATIONS.read_text(encoding="utf-8").split())
    assert [name for name in (*KNOWN.values(), "the mark of an established connection") if name not in text] == []


def test_the_walker_and_open_vswitch_agree_on_packets_that_come_through_the_tunnel(
    bridges: dict[str, OvnBridge], capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally()
    for source in ("web1", "data1", OUTSIDE):
        near, far = bridges["c1"], bridges["c2"]
        port = near.port(source)
        for packet in corpus(source, seed=2):
            visit = near.evaluate(packed_state(packet.headers, port, None), packet.ct_state)
            for emission in visit.emissions:
                if emission.port == near.port("ovn-c2-0") and packet.vlan is None:
                    state, text = arrived(emission.state, far.port("ovn-c1-0"), packet)
                    far.compare(packet, text, state, tally)
    with capsys.disabled():
        tally.print("through the tunnel")
    assert tally.open.keys() <= KNOWN.keys()
    assert tally.claimed + tally.punted > 0.9 * tally.packets > 50


def arrived(state: PacketState, port: int, packet: Packet) -> tuple[PacketState, str]:
    """A packet as the far chassis sees it: what its frame and its tunnel carry, in both notations."""
    values = {
        name: layout.read(state.packed, name) for name in ("eth_src", "eth_dst", "nw_ttl", "tun_id", "tun_metadata0")
    }
    fresh = packed_state(packet.headers, port, None)
    for name, value in values.items():
        fresh.packed = layout.replaced(fresh.packed, name, value)
    for name in ("ipv4_src", "ipv4_dst", "tcp_src", "tcp_dst"):
        assert layout.read(state.packed, name) == layout.read(fresh.packed, name)
    fresh.packed |= layout.placed("tun_src", 0xC0A80001) | layout.placed("tun_dst", 0xC0A80002)
    assert not fresh.unknown & TUNNEL
    macs = {name: f"{values[name]:012x}" for name in ("eth_src", "eth_dst")}
    words = packet.text.split(",")
    changed = {
        "dl_src": ":".join(macs["eth_src"][at : at + 2] for at in range(0, 12, 2)),
        "dl_dst": ":".join(macs["eth_dst"][at : at + 2] for at in range(0, 12, 2)),
        "nw_ttl": str(values["nw_ttl"]),
    }
    text = ",".join(f"{key}={changed.get(key, value)}" for key, _, value in (word.partition("=") for word in words))
    tunnel = (
        f"tun_src=192.168.0.1,tun_dst=192.168.0.2,tun_id={values['tun_id']},tun_metadata0={values['tun_metadata0']:#x}"
    )
    return fresh, f"in_port={port},{tunnel},{text}"


def test_a_walk_crosses_both_chassis_and_ends_where_real_packets_do(ovn: OvnLab, bridges: dict[str, OvnBridge]) -> None:
    inventory = read_inventory([chassis.ovs.ovsdb for chassis in ovn.chassis.values()], 5.0)
    integration = {bridge.dpid: bridge.id for bridge in inventory.topology.bridges}
    tables = {integration[each.view.tables.dpid]: each.view.tables for each in bridges.values()}
    network = Network.build(inventory.topology, tables)
    for sender in VMS:
        start = integration[bridges[sender.chassis].view.tables.dpid]
        for receiver in VMS:
            if sender is receiver:
                continue
            near = receiver if sender.switch == receiver.switch else None
            packet = Packet(
                sender.name, sender.mac, f"{sender.mac[:-2]}fe" if near is None else near.mac,
                sender.address, receiver.address, 1, 8, 0,
            )  # fmt: skip
            in_port = bridges[sender.chassis].port(sender.name)
            way = walk(
                network,
                WalkStart(1, "p", 0, start, in_port, packet.headers),
                WalkSettings(assumed_ct_state=NEW),
            )
            assert way.last is not None
            delivered = way.last.out_port == bridges[receiver.chassis].port(receiver.name)
            assert delivered == (sender is not BLOCKED or receiver.switch != "data"), way
            assert delivered == answers(ovn, sender.name, receiver.address)


def answers(ovn: OvnLab, sender: str, address: str) -> bool:
    """Whether a ping is answered; the first may be lost while addresses are resolved."""
    said = ovn.execute(sender, ["sh", "-c", f"ping -c 3 -i 0.1 -W 1 {address} || true"])
    return " 0 received" not in said


def test_a_load_balanced_connection_takes_the_flows_the_walker_says(ovn: OvnLab, bridges: dict[str, OvnBridge]) -> None:
    bridge = bridges["c1"]
    web1, data1 = VMS[0], VMS[2]
    packet = Packet("web1", web1.mac, f"{web1.mac[:-2]}fe", web1.address, VIP_OF_ONE, 6, 40000, 80)
    visit = bridge.evaluate(packed_state(packet.headers, bridge.port("web1"), None), NEW)
    assert [stop for stop in visit.stops if stop.shape in OPEN] == []
    assert [emission.port for emission in visit.emissions] == [bridge.port("data1")]
    assert layout.read(visit.emissions[0].state.packed, "ipv4_dst") == int.from_bytes(
        bytes(map(int, data1.address.split(".")))
    )
    taken = {found.entry.flow for found in visit.searches if found.entry is not None}
    before = {flow.key: flow.n_packets for flow in bridge_of(bridge.ovs).view.tables.flows}
    connect = f"import socket; print(socket.socket().connect_ex(('{VIP_OF_ONE}', 80)))"
    assert ovn.execute("web1", ["python3", "-c", connect]).strip() == "111"  # data1 itself refuses
    deadline = monotonic() + 10
    left = taken
    while left and monotonic() < deadline:
        now = {flow.key: flow.n_packets for flow in bridge_of(bridge.ovs).view.tables.flows}
        left = {flow for flow in left if now[flow.key] == before[flow.key]}
    assert left == set()


def test_a_forbidden_packet_is_dropped_by_the_flow_of_its_acl(bridges: dict[str, OvnBridge]) -> None:
    bridge, data1 = bridges["c1"], VMS[2]
    packet = Packet("web1", VMS[0].mac, f"{VMS[0].mac[:-2]}fe", VMS[0].address, data1.address, 6, 5000, 9)
    visit = bridge.evaluate(packed_state(packet.headers, bridge.port("web1"), None), NEW)
    assert visit.emissions == ()
    assert visit.stops[-1].shape in {DropShape.EXPLICIT_DROP, DropShape.NO_OUTPUT}
    deciding = visit.stops[-1].found[visit.stops[-1].step].entry
    assert deciding is not None
    assert deciding.flow.priority == 2000  # OVN adds 1000 to an ACL's priority
