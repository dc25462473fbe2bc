"""Turns random choices into flow tables and packets that use everything the walker models, four tables at a time.

Kept apart by ``Mode``, because Open vSwitch 3.1 cannot be asked for all of it at once: ovs-vswitchd aborts when ``ct``
recirculates an action set, and ``check_pkt_larger`` leaks ``exit`` out of the branch that a packet does not take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from hypothesis import strategies as st
from walker_judge import Packet
from walker_pipelines import ARP, IP, REG0_LOW, TCP, Wanted, bundle, flow, match, multipath, register

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.oxm import SubField, field

SMALL = st.integers(0, 3)
MASKS = st.sampled_from((0x1, 0x3, 0xFFFFFFFF))
REGISTERS = st.sampled_from(("reg0", "reg1", "reg2"))
SOMETIMES = st.integers(0, 3).map(lambda drawn: drawn == 0)
RARE = st.integers(0, 7).map(lambda drawn: drawn == 0)
LAST_TABLE = 3
PER_TABLE_SET = 10


class Mode(Enum):
    """What one table set has beside plain flows."""

    ACTION_SETS = "action sets"
    TRACKING = "conntrack"
    LENGTHS = "packet lengths"
    LABELS = "MPLS labels"


@dataclass(frozen=True)
class Scope:
    """Where a flow is drawn for."""

    table_id: int
    mode: Mode


def onward(actions: Sequence[act.Action], table_id: int) -> list[act.Action]:
    """The actions without those that search this table or an earlier one again: too many go round until a limit."""
    return [each for each in actions if not isinstance(each, act.Resubmit) or (each.table_id or 0) > table_id]


@st.composite
def register_matches(draw: st.DrawFn) -> dict[str, tuple[int, int]]:
    n_registers = draw(st.sampled_from((0, 0, 0, 0, 1, 1, 2)))
    names = draw(st.lists(REGISTERS, min_size=n_registers, max_size=n_registers, unique=True))
    matches = {}
    for name in names:
        mask = draw(MASKS)
        matches[name] = (draw(SMALL) & mask, mask)
    return matches


@st.composite
def header_matches(draw: st.DrawFn) -> dict[str, int | tuple[int, int]]:
    wanted: dict[str, int | tuple[int, int]] = {}
    if draw(SOMETIMES):
        wanted["in_port"] = draw(st.integers(1, 3))
    if draw(SOMETIMES):
        wanted["vlan_tci"] = draw(st.sampled_from(((0, 0xFFFF), (0x1000, 0x1000), (0x1005, 0x1FFF))))
    if draw(RARE):
        wanted["metadata"] = draw(st.sampled_from(((1, 1), (2, 3), (0, 2))))
    return wanted


PORTS = st.sampled_from((1, 2, 3, 4, 9, act.OFPP_IN_PORT, act.OFPP_LOCAL))
FLOODS = st.sampled_from((act.OFPP_FLOOD, act.OFPP_ALL, act.OFPP_NORMAL))
ANYWHERE: st.SearchStrategy[act.Action] = st.one_of(
    st.builds(act.Output, PORTS),
    st.builds(act.Output, PORTS, st.just(64)),
    st.builds(act.Output, FLOODS),
    st.builds(register, st.integers(0, 2), SMALL, MASKS).filter(lambda each: not each.value & ~each.mask),
    st.builds(act.Resubmit, st.sampled_from((None, None, 1, 2)), st.integers(1, 3)),
    st.builds(act.Resubmit, st.none(), st.integers(1, 3)),
    st.just(act.OutputSubField(REG0_LOW)),
    st.just(act.Move(REG0_LOW, SubField(field("reg1"), 0, 16))),
    st.builds(lambda low: act.SetField(field("xreg0"), low << 32 | low, 2**64 - 1), SMALL),
    st.builds(lambda low: act.SetField(field("eth_dst"), low, 2**48 - 1), SMALL),
    st.builds(lambda port: act.SetField(field("in_port"), port, 0xFFFFFFFF), SMALL),
    st.just(act.Push(REG0_LOW)),
    st.just(act.Pop(SubField(field("reg2"), 0, 16))),
    st.builds(act.SetTunnelId, SMALL),
    st.builds(act.Group, st.sampled_from((2, 2, 3, 3, 4, 4, 5))),
    st.builds(bundle, st.just(77), st.integers(2, 4), active_backup=st.booleans(), load=st.booleans()),
    st.builds(bundle, st.integers(2, 3), st.just(4), active_backup=st.just(True), load=st.booleans()),
    st.sampled_from((1, 1, 1, 1, 2)).map(multipath),
    st.just(act.Note(b"n")),
    st.just(act.ConntrackClear()),
    st.just(act.Learn(0)).map(lambda _: act.Note(b"learnt")),
)
ON_IP: st.SearchStrategy[act.Action] = st.one_of(
    st.just(act.DecTtl()),
    st.builds(lambda low: act.SetField(field("ipv4_dst"), 0x0A000000 | low, 0xFFFFFFFF), SMALL),
    st.builds(lambda low: act.SetField(field("ipv4_src"), low, 0x3), SMALL),
    st.builds(lambda ttl: act.SetField(field("nw_ttl"), ttl, 0xFF), SMALL),
    st.builds(lambda dscp: act.SetField(field("ip_dscp"), dscp, 0x3F), SMALL),
    st.just(act.Move(SubField(field("ipv4_dst"), 0, 2), SubField(field("reg0"), 0, 2))),
    st.just(act.Group(1)),
    st.builds(lambda port: act.SetField(field("tcp_dst"), port, 0xFFFF), SMALL),
)
ON_ARP: st.SearchStrategy[act.Action] = st.one_of(
    st.builds(lambda op: act.SetField(field("arp_op"), op, 0xFFFF), SMALL),
    st.builds(lambda low: act.SetField(field("arp_tpa"), 0x0A000000 | low, 0xFFFFFFFF), SMALL),
    st.just(act.Move(SubField(field("arp_spa"), 0, 32), SubField(field("arp_tpa"), 0, 32))),
    st.just(act.Move(SubField(field("arp_sha"), 0, 48), SubField(field("eth_dst"), 0, 48))),
)
ON_LABELS: st.SearchStrategy[act.Action] = st.one_of(
    st.builds(lambda label: act.SetField(field("mpls_label"), label, 0xFFFFF), SMALL),
    st.builds(lambda ttl: act.SetField(field("mpls_ttl"), ttl, 0xFF), SMALL),
    st.just(act.DecMplsTtl()),
    st.just(act.PushMpls(0x8848)),
    st.just(act.Move(SubField(field("mpls_label"), 0, 16), REG0_LOW)),
)
NESTED: st.SearchStrategy[act.Action] = st.lists(ANYWHERE, min_size=1, max_size=3).map(
    lambda nested: act.Clone(tuple(onward(nested, 1)))
)
LAST: st.SearchStrategy[act.Action] = st.sampled_from((act.Exit(), act.Output(2), act.Resubmit(None, 0)))
IN_A_SET: st.SearchStrategy[act.Action] = st.one_of(
    st.builds(act.Output, st.integers(1, 4)), st.just(act.Group(2)), st.just(act.DecTtl())
)
IPV4_MATCHES = st.sampled_from(((0x0A000000, 0xFFFFFFFC), (0x0A000002, 0xFFFFFFFF), (0x0A000003, 0xFFFFFFFF)))
TRANSLATIONS: st.SearchStrategy[tuple[act.Action, ...]] = st.sampled_from((
    (), (), (),
    (act.Nat(False, True, "10.0.0.2:2"),), (act.Nat(False, True, "10.0.0.3"),), (act.Nat(True, False, "10.0.0.2:1"),),
    (act.Nat(False, False),), (act.Nat(False, True, "10.0.0.2-10.0.0.3"),),
    (act.SetField(field("ct_mark"), 1, 0xFFFFFFFF),),
))  # fmt: skip


@st.composite
def protocol_part(draw: st.DrawFn, scope: Scope) -> tuple[Wanted, st.SearchStrategy[act.Action]]:
    """The protocol a flow asks for, and the actions that allows."""
    kind = draw(st.sampled_from(("any", "any", "tcp", "tcp", "tcp", "arp", "label")))
    if kind == "tcp":
        matched: Wanted = {**TCP, **({} if draw(st.booleans()) else {"ipv4_dst": draw(IPV4_MATCHES)})}
        if draw(RARE):
            matched |= {"tcp_dst": draw(SMALL)}
        return matched, ANYWHERE | NESTED | ON_IP
    if kind == "arp":
        return {**ARP, **({"arp_op": draw(SMALL)} if draw(st.booleans()) else {})}, ANYWHERE | ON_ARP
    if kind == "label" and scope.mode is Mode.LABELS:
        matched = {"eth_type": draw(st.sampled_from((0x8847, 0x8848)))}
        if draw(st.booleans()):
            matched |= {"mpls_label": draw(SMALL)}
        return matched, ANYWHERE | ON_LABELS
    return {}, ANYWHERE | NESTED


@st.composite
def flows(draw: st.DrawFn, priority: int, scope: Scope) -> Flow:
    matched, choices = draw(protocol_part(scope))
    wanted = {**draw(register_matches()), **draw(header_matches()), **matched}
    actions = draw(st.lists(choices, min_size=draw(st.integers(0, 2)), max_size=5))
    if not draw(RARE):
        actions = onward(actions, scope.table_id)
    is_ip = "ip_proto" in wanted
    labelled = wanted.get("eth_type") in {0x8847, 0x8848} or "mpls_label" in wanted
    if "vlan_tci" not in wanted and not labelled and draw(RARE):
        actions.insert(0, act.PushVlan(0x8100))
    if scope.mode is Mode.TRACKING and is_ip:
        _track(draw, wanted, actions, scope.table_id)
    if scope.mode is Mode.LENGTHS and draw(st.booleans()):
        where = SubField(field("reg0"), 0, 1)
        actions.insert(draw(st.integers(0, len(actions))), act.CheckPacketLarger(draw(st.integers(116, 120)), where))
    if scope.mode is Mode.LABELS and is_ip and draw(st.booleans()):
        actions += [act.PushMpls(0x8847), *draw(st.lists(ANYWHERE | ON_LABELS, max_size=2))]
    if scope.mode is not Mode.LENGTHS and draw(RARE):
        actions.append(draw(LAST))
    return flow(scope.table_id, priority, match(**wanted), *_instructions(draw, scope, actions, sets=is_ip))


def _track(draw: st.DrawFn, wanted: Wanted, actions: list[act.Action], table_id: int) -> None:
    if table_id < LAST_TABLE and draw(RARE):
        wanted["ct_state"] = (0x20, 0x30)
        actions.insert(0, act.Resubmit(None, draw(st.integers(table_id + 1, LAST_TABLE)), with_conntrack=True))
    elif draw(RARE):
        wanted["ct_state"] = draw(st.sampled_from(((0x21, 0x21), (0x22, 0x22), (0x20, 0x20))))
    elif draw(st.integers(0, 3)):
        wanted["ct_state"] = (0, 0x20)  # or else ofproto/trace recirculates for ever
        target = draw(st.integers(1, LAST_TABLE))
        actions.insert(0, act.Conntrack(True, False, draw(SMALL), target, draw(TRANSLATIONS)))


def _instructions(draw: st.DrawFn, scope: Scope, actions: list[act.Action], *, sets: bool) -> list[act.Instruction]:
    instructions: list[act.Instruction] = [act.ApplyActions(tuple(actions))] if actions else []
    if draw(st.integers(0, 5)) == 0:
        instructions.append(act.ClearActions())
    if scope.mode is Mode.ACTION_SETS and sets and draw(st.booleans()):
        instructions.append(act.WriteActions(tuple(draw(st.lists(IN_A_SET, min_size=1, max_size=3)))))
    if draw(st.integers(0, 4)) == 0:
        instructions.append(act.WriteMetadata(draw(SMALL), 3))
    if scope.table_id < LAST_TABLE and draw(st.booleans()):
        instructions.append(act.GotoTable(draw(st.integers(scope.table_id + 1, LAST_TABLE))))
    return instructions


FIRST_CLAUSE: st.SearchStrategy[Wanted] = st.sampled_from(
    ({"ipv4_src": 0x0A000001}, {"ipv4_src": (0x0A000000, 0xFFFFFF00)}, {"in_port": 1})
)
SECOND_CLAUSE: st.SearchStrategy[Wanted] = st.sampled_from(
    ({"ipv4_dst": 0x0A000002}, {"reg0": (0, 1)}, {"ip_dscp": 0}, {"nw_ttl": 64})
)
THIRD_CLAUSE: st.SearchStrategy[Wanted] = st.sampled_from(({"ip_ecn": 0}, {"eth_dst": 2}, {"vlan_tci": (0, 0xFFFF)}))


@st.composite
def conjunctions(draw: st.DrawFn, scope: Scope, number: int) -> list[Flow]:
    """The clause flows of one conjunction, and mostly a flow that asks for it."""
    priority = draw(st.integers(1, 5))
    dimensions = [FIRST_CLAUSE, SECOND_CLAUSE, THIRD_CLAUSE][: draw(st.integers(2, 3))]
    made = [
        flow(
            scope.table_id,
            priority,
            match(**{**IP, **draw(clause)}),
            act.ApplyActions((act.Conjunction(number, at, len(dimensions)),)),
            number=number,
        )
        for at, clause in enumerate(dimensions)
    ]
    if draw(st.integers(0, 4)):
        actions = act.ApplyActions(tuple(draw(st.lists(ANYWHERE, min_size=1, max_size=2))))
        made.append(
            flow(scope.table_id, draw(st.integers(1, 5)), match(**IP, conj_id=number), actions, number=number + 4)
        )
    return made


TELLTALES: tuple[Wanted, ...] = (
    *({**IP, "ipv4_dst": 0x0A000000 | low} for low in (1, 2, 3)),
    *({**TCP, "tcp_dst": port} for port in (1, 2, 3)),
    *({**IP, "nw_ttl": ttl} for ttl in (1, 62, 63)),
    *(Wanted(reg0=value) for value in (1, 2, 3)),
    {**IP, "ct_mark": 1},
    {**IP, "ct_state": (0x21, 0x21)},
    {**IP, "ct_state": (0, 0x20)},
    {"eth_type": 0x8847, "mpls_label": 2},
    {"eth_type": 0x8847, "mpls_ttl": 63},
    {"eth_type": 0x8848, "mpls_bos": 0},
    {**ARP, "arp_tpa": 0x0A000001},
)


@st.composite
def telltales(draw: st.DrawFn, scope: Scope) -> list[Flow]:
    """Flows that turn what earlier actions did to the packet into a port."""
    return [
        flow(
            scope.table_id,
            7 + at,
            match(**draw(st.sampled_from(TELLTALES))),
            act.ApplyActions((act.Output(draw(st.integers(1, 4))), *draw(st.lists(ANYWHERE, max_size=1)))),
        )
        for at in range(draw(st.integers(0, 3)))
    ]


@st.composite
def tables(draw: st.DrawFn) -> list[Flow]:
    """Four tables of a few flows each; no two flows have the same key."""
    mode = draw(st.sampled_from((*Mode, Mode.ACTION_SETS, Mode.TRACKING, Mode.TRACKING)))
    made: list[Flow] = []
    for table_id in range(LAST_TABLE + 1):
        scope = Scope(table_id, mode)
        made += [draw(flows(at + 1, scope)) for at in range(draw(st.integers(1, 4)))]
        made += draw(telltales(scope)) if table_id else []
        for number in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
            made += draw(conjunctions(scope, number + 1))
        if draw(st.booleans()):
            actions = draw(st.lists(ANYWHERE | NESTED, min_size=1, max_size=4))
            made.append(flow(table_id, 0, match(), *_instructions(draw, scope, onward(actions, table_id), sets=False)))
    return list({each.key: each for each in made}.values())


PACKET = st.builds(
    Packet,
    in_port=st.integers(1, 3),
    protocol=st.sampled_from((6, 6, 6, 17)),
    source=st.sampled_from(("10.0.0.1", "10.0.0.1", "10.0.0.2")),
    destination=st.sampled_from(("10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.9.9.9")),
    destination_port=SMALL,
    ttl=st.sampled_from((1, 2, 64, 64)),
    vlan=st.sampled_from((None, None, None, 5, 6)),
    eth_dst=st.sampled_from((2, 3, 4, 0xFFFFFFFFFFFF)),
    arp_op=st.sampled_from((None, None, None, None, None, 1, 2)),
    tracked=RARE,
)
PACKETS = st.lists(PACKET, min_size=PER_TABLE_SET, max_size=PER_TABLE_SET, unique=True)
