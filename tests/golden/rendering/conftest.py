"""Results of every disposition, made by hand, for the golden screens."""

from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IPV4_DST, field
from vtrace_ovs.model.packet import FiveTuple, Tunnel
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import (
    DropShape,
    Ending,
    HeaderChange,
    Hop,
    NearMiss,
    Origin,
    Step,
    Trajectory,
)
from vtrace_ovs.model.verdict import (
    CauseCategory,
    CauseCode,
    Confidence,
    Culprit,
    Disposition,
    Evidence,
    PathGroup,
    TaskResult,
    Verdict,
)

WEB = FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address("10.0.1.5"), 40000, 443)
SERVER1 = BridgeId("server1", "br-int")
SERVER2 = BridgeId("server2", "br-int")
TUNNEL = Tunnel(5001, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))


def flow(table_id: int, priority: int, **fields: int) -> FlowKey:
    masked = (MaskedField(field(name), value, field(name).full_mask) for name, value in fields.items())
    return FlowKey(table_id, priority, Match.of(*masked))


CLASSIFY = Step(0, flow(0, 100, in_port=3), 0x5301, "set_field:0x1389->tun_id,goto_table:10")
ROUTE = Step(
    10,
    FlowKey(10, 24, Match.of(MaskedField(IPV4_DST, 0x0A000100, 0xFFFFFF00))),
    0x5302,
    "dec_ttl,goto_table:40",
)
SEND = Step(40, flow(40, 50, tun_id=5001), 0x5303, "output:10")
ARRIVE = Step(0, flow(0, 90, in_port=10), 0x6301, "goto_table:40")
ALLOW = flow(40, 200, tcp_dst=80)
NEAR = NearMiss(ALLOW, 0x6303, (("tcp_dst", "80", "443"),))
DENY = Step(40, flow(40, 100, ipv4_dst=0x0A000105), 0x6302, "drop", near_misses=(NEAR,))
DELIVER = Step(50, flow(50, 100, eth_dst=0x020000000005), 0x6305, "output:7")

FIRST_HOP = Hop(
    SERVER1,
    1,
    3,
    10,
    left_by=TUNNEL,
    changes=(HeaderChange("eth_dst", "02:00:00:00:00:fe", "02:00:00:00:00:05"), HeaderChange("nw_ttl", "64", "63")),
    steps=(CLASSIFY, ROUTE, SEND),
    seen=frozenset({Loc.IN, Loc.OUT}),
    entered_at=100.0,
    left_at=100.00025,
)
DENYING_HOP = Hop(
    SERVER2,
    2,
    10,
    parent=0,
    arrived_by=TUNNEL,
    steps=(ARRIVE, DENY),
    seen=frozenset({Loc.IN, Loc.ERROR}),
    drop=DropShape.EXPLICIT_DROP,
    meters=(4,),
)
DELIVERING_HOP = Hop(
    SERVER2, 2, 10, 7, parent=0, arrived_by=TUNNEL, steps=(ARRIVE, DELIVER), seen=frozenset({Loc.IN, Loc.OUT})
)


def way(*hops: Hop, ending: Ending, origin: Origin = Origin.OBSERVED, ambiguous: bool = False) -> Trajectory:
    return Trajectory(3, "8f14e45fceea", 0, origin, WEB, hops, ending, ambiguous=ambiguous)


def alone(verdict: Verdict, trajectory: Trajectory, *, prediction: Trajectory | None = None) -> TaskResult:
    return TaskResult(3, verdict, (PathGroup(verdict, trajectory, 20, prediction),), 20)


DELIVERY = Verdict(
    Disposition.DELIVERED,
    CauseCategory.NONE,
    CauseCode.NONE,
    Confidence.OBSERVED,
    "Handed to port 7 of server2/br-int.",
    "Your traffic was delivered to the virtual machine.",
)
DENIAL = Verdict(
    Disposition.DROPPED,
    CauseCategory.SECURITY_POLICY,
    CauseCode.SECURITY_RULE_DENY,
    Confidence.OBSERVED,
    "A security rule of server2/br-int drops TCP to 10.0.1.5 port 443.",
    "A security rule of the destination does not allow this traffic.",
    "Allow TCP port 443 in security group sg-web.",
    Culprit("server2", SERVER2, 40, "acl-in", DENY.flow, 0x6302, "security group sg-web"),
    DropShape.EXPLICIT_DROP,
    (
        Evidence("server2/br-int logged the drop of 17 packets.", observed=True),
        Evidence("The drop flow counted 17 packets.", observed=True),
    ),
    (NEAR,),
)

DELIVERED = alone(DELIVERY, way(FIRST_HOP, DELIVERING_HOP, ending=Ending.HANDED_TO_PORT))

DROPPED = TaskResult(
    3,
    DENIAL,
    (
        PathGroup(
            DENIAL,
            way(FIRST_HOP, DENYING_HOP, ending=Ending.DROPPED),
            17,
            way(FIRST_HOP, DENYING_HOP, ending=Ending.DROPPED, origin=Origin.PREDICTED),
        ),
        PathGroup(DELIVERY, way(FIRST_HOP, DELIVERING_HOP, ending=Ending.HANDED_TO_PORT), 3),
    ),
    20,
    2,
    ("server3 was left out: its OVSDB server does not answer.",),
)

EXITED = alone(
    Verdict(
        Disposition.EXITED,
        CauseCategory.NONE,
        CauseCode.NONE,
        Confidence.OBSERVED,
        "Left the overlay by port LOCAL of server1/br-int.",
        "Your traffic left the virtual network.",
    ),
    way(Hop(SERVER1, 1, 3, 0xFFFFFFFE, seen=frozenset({Loc.IN, Loc.OUT})), ending=Ending.EXITED),
)

LOST_IN_VFD = alone(
    Verdict(
        Disposition.LOST_IN_VFD,
        CauseCategory.RATE_LIMIT,
        CauseCode.METER_RATE_LIMIT,
        Confidence.CORROBORATED,
        "Meter 4 of server2/br-int drops what exceeds 100 kbit/s.",
        "Your traffic exceeds its rate limit.",
        "Raise the rate of meter 4.",
        Culprit("server2", SERVER2, 0, flow=ARRIVE.flow, cookie=0x6301, meter_id=4),
        DropShape.METER,
        (Evidence("Meter 4 counted 20 drops while the task ran.", observed=False),),
    ),
    way(
        FIRST_HOP,
        Hop(SERVER2, 2, 10, parent=0, arrived_by=TUNNEL, steps=(ARRIVE,), seen=frozenset({Loc.IN})),
        ending=Ending.OPEN,
    ),
)

LOST_ON_WIRE = alone(
    Verdict(
        Disposition.LOST_ON_WIRE,
        CauseCategory.PHYSICAL_NETWORK,
        CauseCode.UNDERLAY_LOSS,
        Confidence.INFERRED,
        "server1 sent 20 packets to 192.0.2.2; server2 saw none.",
        "Your traffic is lost in the physical network.",
        "Check the underlay between 192.0.2.1 and 192.0.2.2.",
        Culprit("server1", SERVER1, next_node="server2", next_bridge=SERVER2),
        evidence=(Evidence("server2 sees other traffic of the tunnel.", observed=False),),
    ),
    way(FIRST_HOP, ending=Ending.ON_WIRE),
)

LOOPED = alone(
    Verdict(
        Disposition.LOOPED,
        CauseCategory.CONFIG_ERROR,
        CauseCode.FORWARDING_LOOP,
        Confidence.OBSERVED,
        "server1/br-int and server2/br-int send the packet to each other.",
        "A configuration error in the virtual network stops your traffic.",
        culprit=Culprit("server1", SERVER1, 40, flow=SEND.flow, cookie=0x5303),
    ),
    way(
        FIRST_HOP,
        Hop(SERVER2, 2, 10, 10, parent=0, arrived_by=TUNNEL, inferred=True),
        Hop(SERVER1, 3, 10, parent=1, steps=(SEND,), seen=frozenset({Loc.IN})),
        ending=Ending.LOOPED,
    ),
)

UNSEEN = TaskResult(
    3,
    Verdict(
        Disposition.UNSEEN,
        CauseCategory.TENANT_VM,
        CauseCode.NOT_SENT,
        Confidence.INFERRED,
        "No edge port received a packet of this filter in 30 s, and the color flows counted none.",
        "Your virtual machine did not send this traffic.",
        "Check that the sender sends, then trace again.",
        evidence=(Evidence("20 color flows counted 0 packets.", observed=True),),
    ),
    (),
    0,
)

INCONCLUSIVE = alone(
    Verdict(
        Disposition.INCONCLUSIVE,
        CauseCategory.UNKNOWN,
        CauseCode.EVIDENCE_LOST,
        Confidence.UNDECIDED,
        "server2/br-int took the packets in, and 5 of its copies were lost on the way to the controller.",
        "The trace did not find what happens to your traffic.",
        culprit=Culprit("server2", SERVER2),
    ),
    way(
        FIRST_HOP,
        Hop(SERVER2, 2, None, parent=0, steps=(Step(0, None, None, "", ambiguous=True),), unsupported="bundle"),
        ending=Ending.OPEN,
        ambiguous=True,
    ),
)

HOSTILE = alone(
    Verdict(
        Disposition.DROPPED,
        CauseCategory.UNKNOWN,
        CauseCode.EXPLICIT_DROP,
        Confidence.OBSERVED,
        "Port \x1b[31m[bold]vm\u202e\n of a tenant drops it.",
        "[link=http://example.org]Sorry[/link]",
        culprit=Culprit("server1\r", SERVER1, 0, "[red]acl\x07", CLASSIFY.flow, 0x5301, "tenant \x9b2J"),
        drop=DropShape.EXPLICIT_DROP,
    ),
    way(Hop(SERVER1, 1, 3, drop=DropShape.EXPLICIT_DROP, steps=(CLASSIFY,)), ending=Ending.DROPPED),
)

_RESULTS = {
    "delivered": DELIVERED,
    "dropped": DROPPED,
    "exited": EXITED,
    "lost_in_vfd": LOST_IN_VFD,
    "lost_on_wire": LOST_ON_WIRE,
    "looped": LOOPED,
    "unseen": UNSEEN,
    "inconclusive": INCONCLUSIVE,
    "hostile": HOSTILE,
}


@pytest.fixture
def results() -> Mapping[str, TaskResult]:
    return _RESULTS
