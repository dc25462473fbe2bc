"""Turns the plan of one small bridge into ``docs/pipeline.md``; run this file to write the page anew."""

from ipaddress import IPv4Address, IPv4Network
from itertools import groupby
from pathlib import Path

from vtrace_ovs.instrumentation import state
from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings, SourcePorts
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.postcards import Watch, watch
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.model import oxm
from vtrace_ovs.model.action_wording import instructions_text
from vtrace_ovs.model.actions import Action, ApplyActions, DecTtl, Output, Resubmit, SetField
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowMod
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.model.wording import match_text

PAGE = Path(__file__).parents[2] / "docs" / "pipeline.md"
IP = exactly(oxm.ETH_TYPE, 0x0800)
HERE = BridgeId("server1", "br-int")

INTRODUCTION = """# What we install

One bridge, one task. This page is generated (`python tests/functional/pipeline_page.py`), and a test installs these
very flows on a real Open vSwitch and compares what it shows.

`br-int` on server1 has VM ports 1 and 2, a patch port 3 to an armed router, and a VXLAN port 4 (`key=flow,
remote_ip=flow`); server2 (198.18.7.2) is armed. Its production flows, with which nothing happens:
"""

CHAPTERS = {
    CookieKind.COLOR: """Color

Sources. At the tenant's port, packets of the filter become traced: hop index 1, the code they will leave with, and
their own DSCP go into the state register, a copy is sent, and production starts over with the packet unchanged. One
flow per DSCP series.""",
    CookieKind.UNCOLORED: """Uncolored

The same packets with a DSCP that has no series are only reported.""",
    CookieKind.ASKED: """Asked

A sender that cannot resolve its next hop sends nothing. So its ARP requests (or neighbour solicitations) are reported,
uncolored, and go on as they came; `neighbour-unresolved` rests on them.""",
    CookieKind.FRAGMENT: """Fragments

Fragments have no ports for Open vSwitch. Those that may be of the filter are reported; once the first fragment of one
of its datagrams is seen, fragments are colored as well.""",
    CookieKind.MARK: """Mark

Sinks. Where a marked packet arrives from an armed VFD, its code tells hop index and own DSCP. Five flows per port and
series; only the first of each port is shown.""",
    CookieKind.CLASSIFY: """Classify

A private table. The five-tuple, and in a tunnel the VNI, tells the task: the tenant's DSCP is put back, a copy is sent,
production starts over. From here on the packet leaves with the next mark, so these flows come when every VFD has the
others, and go before any loses them.""",
    CookieKind.RESTORE: """Restore

Below: the same packets while nobody classifies them. The tenant's DSCP is put back, and they leave without a mark. So
not even a mark that a tenant forged becomes another one on its way to a VFD that does not know that yet, or no
longer.""",
    CookieKind.FOREIGN: """Foreign

What is nobody's is reported, and goes on exactly as it came.""",
    CookieKind.CLONE: """Clones

Every production flow the packet may hit, one priority above, for traced packets only, with the same actions around our
log. Toward a VFD that is armed: `leave` decides, `turn` writes the mark; after the output `turn` takes it back.""",
    CookieKind.MISS: """Misses

A miss that ends the packet's trip is logged. Production drops the packet, and so do we.""",
    CookieKind.LEAVE: """Leave

A private table, entered with the egress port as ingress port: it mirrors what the next VFD will recognise. Without a
match the packet leaves unmarked (NAT nobody foresaw, another VNI, an unarmed server). They expire before all sinks, if
nobody removes them.""",
    CookieKind.TURN: """Turn

A private table: write the mark when one is due, else the tenant's own DSCP. ECN is never touched.""",
}


UNDERLAY = """
## On underlay bridges

Nothing while a task runs. Once a packet is lost on the wire, here from 198.18.7.1 to 198.18.7.2, underlay bridges get
twins of their own drops and misses for these two ends, with nothing but a copy to us behind a meter, for two seconds.
Where no packet between them can miss, one flow more, of priority 65535, counts them and sends them on to all others.
Of a bridge with these flows:
"""


def underlay() -> tuple[Flow, ...]:
    """The production flows of an underlay bridge: an access list, and a route to somewhere else."""
    denied = Match.of(IP, exactly(oxm.IP_PROTO, 17), exactly(oxm.UDP_DST, 4789))
    route = Match.of(IP, exactly(oxm.IPV4_DST, int(IPv4Address("198.18.7.9"))))
    return Flow(0, 200, denied, ()), Flow(0, 100, route, (ApplyActions((Output(1),)),))


def watched(flows: tuple[Flow, ...]) -> Watch:
    """What an underlay bridge with these flows gets."""
    ends = (IPv4Address("198.18.7.1"), IPv4Address("198.18.7.2"))
    found = watch(BridgeTables(4, 0.0, flows), [ends], Settings(controller_id=0x5654, generation=1), lifetime=12)
    assert found is not None
    return found


def production() -> tuple[Flow, ...]:
    def flow(table_id: int, priority: int, match: Match, *actions: Action) -> Flow:
        return Flow(table_id, priority, match, (ApplyActions(actions),) if actions else ())

    def to(prefix: str) -> Match:
        network = IPv4Network(prefix)
        return Match.of(IP, MaskedField(oxm.IPV4_DST, int(network.network_address), int(network.netmask)))

    tunnel = (
        SetField(oxm.TUN_ID, 5001, oxm.TUN_ID.full_mask),
        SetField(oxm.TUN_DST, int(IPv4Address("198.18.7.2")), oxm.TUN_DST.full_mask),
    )
    ssh = Match.of(IP, exactly(oxm.IP_PROTO, 6), exactly(oxm.TCP_DST, 22))
    return (
        flow(0, 10, Match.of(IP), Resubmit(None, 10)),
        flow(10, 100, ssh),
        flow(10, 10, Match.of(IP), Resubmit(None, 20)),
        flow(20, 10, to("10.0.1.2/32"), Output(2)),
        flow(20, 10, to("10.0.2.0/24"), DecTtl(), Output(3)),
        flow(20, 10, to("10.0.3.0/24"), *tunnel, Output(4)),
    )


def plan(flows: tuple[Flow, ...]) -> BridgePlan:
    ports = (
        Port(1, "vm1", PortKind.EDGE),
        Port(2, "vm2", PortKind.EDGE),
        Port(3, "to-router", PortKind.PATCH, peer="to-int"),
        Port(4, "vxlan", PortKind.TUNNEL),
    )
    socket = ManagementSocket("")
    bridge = Bridge(HERE, 1, BridgeRole.VSWITCH, ports, socket)
    router = Bridge(
        BridgeId("server1", "br-rt"),
        2,
        BridgeRole.VROUTER,
        (Port(1, "to-int", PortKind.PATCH, peer="to-router"),),
        socket,
    )
    far = Bridge(BridgeId("server2", "br-int"), 3, BridgeRole.VSWITCH, (Port(1, "vxlan", PortKind.TUNNEL),), socket)
    nodes = tuple(Node(f"server{n}", "", (IPv4Address(f"198.18.7.{n}"),)) for n in (1, 2))
    topology = Topology(nodes, (bridge, router, far))
    task = ArmedTask(
        slot=5,
        filter=Filter("tcp,nw_src=10.0.1.1", protocol=6, source=IPv4Network("10.0.1.1/32")),
        sources=(SourcePorts(HERE, frozenset({1})),),
        packet_count=20,
        deadline=30.0,
        vnis=frozenset({5001}),
    )
    scene = Scene(topology, frozenset(entry.id for entry in topology.bridges), MarkPlan.of())
    settings = Settings(controller_id=0x5654, generation=1)
    return plan_bridge(bridge, BridgeTables(1, 0.0, flows), (task,), scene, settings=settings, now=0.0)


def line(flow: Flow | FlowMod) -> str:
    """The flow as ``ovs-ofctl --no-stats dump-flows`` shows it."""
    head = [f"cookie={flow.cookie:#x}"] if flow.cookie else []
    head += [f"table={flow.table_id}"] if flow.table_id else []
    head += [f"hard_timeout={flow.hard_timeout}"] if flow.hard_timeout else []
    match = match_text(flow.match)
    rule = f"priority={flow.priority}" + (f",{match}" if match else "")
    return f"{', '.join((*head, rule))} actions={instructions_text(flow.instructions)}"


def kind(mod: FlowMod) -> CookieKind:
    cookie = Cookie.of(mod.cookie)
    assert cookie is not None
    return cookie.kind


def page() -> str:
    flows = production()
    planned = plan(flows)
    mods = sorted((*planned.sources, *planned.sinks), key=lambda mod: list(CHAPTERS).index(kind(mod)))
    parts = [INTRODUCTION, *block(map(line, flows)), registers(planned)]
    for chapter, group in groupby(mods, kind):
        shown = list(group)
        if chapter is CookieKind.MARK:
            shown = [mod for mod in shown if (value := mod.match.get(oxm.IP_DSCP)) is not None and value.value == 3]
        parts += [f"\n## {CHAPTERS[chapter]}\n", *block(map(line, shown))]
    meters = [
        f"meter={meter.meter_id} pktps burst, rate={meter.rate} burst_size={meter.burst}" for meter in planned.meters
    ]
    parts += [
        "\n## Meters\n",
        "Copies of traced packets, and of packets that are nobody's. Packets are never metered. On VFDs that packets",
        "pass less often than another one, fewer copies of traced packets are let through at once.",
        "",
    ]
    parts += [*block(meters), UNDERLAY, *block(map(line, underlay())), "\nit gets these:\n"]
    return "\n".join([*parts, *block(map(line, watched(underlay()).flows)), ""])


def block(lines: "map[str] | list[str]") -> list[str]:
    return ["```", *lines, "```"]


def registers(planned: BridgePlan) -> str:
    ranges = {name.lower(): bits for name, bits in vars(state).items() if isinstance(bits, state.BitRange)}
    rows = [
        f"| {bits.offset}..{bits.offset + bits.width - 1} | {name} |"
        for name, bits in sorted(ranges.items(), key=lambda entry: entry[1].offset)
    ]
    head = (
        f"\nThe state is in `{planned.state.field.name}`, which no production flow mentions:\n\n| bits | |\n|---|---|\n"
    )
    return head + "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page())
