"""Turns what the walker must get right into small pipelines, each with its sentence; OVS is the judge."""

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import SubField, field

OURS = 1 << 32


def match(**wanted: int | tuple[int, int]) -> Match:
    pairs = {
        name: value if isinstance(value, tuple) else (value, field(name).full_mask) for name, value in wanted.items()
    }
    return Match.of(*(MaskedField(field(name), *pair) for name, pair in pairs.items()))


def flow(table_id: int, priority: int, matched: Match, *instructions: act.Instruction, number: int = 0) -> Flow:
    cookie = OURS | table_id << 12 | priority << 4 | number
    return Flow(table_id, priority, matched, instructions, cookie=cookie)


def apply(*actions: act.Action) -> act.ApplyActions:
    return act.ApplyActions(actions)


def register(number: int, value: int, mask: int = 0xFFFFFFFF) -> act.SetField:
    return act.SetField(field(f"reg{number}"), value, mask)


def bundle(first: int, second: int, *, active_backup: bool, load: bool = False) -> act.Bundle:
    """A bundle of two ports, output or loaded into reg0."""
    subtype, place = (b"\0\x0d", bytes.fromhex("000f00010004")) if load else (b"\0\x0c", bytes(6))
    head = bytes.fromhex("ffff002800002320") + subtype + bytes([0, not active_backup]) + bytes.fromhex("00000000")
    raw = head + bytes.fromhex("000000020002") + place + bytes(4) + first.to_bytes(2) + second.to_bytes(2) + bytes(4)
    return act.Bundle(active_backup, (first, second), REG0_LOW if load else None, raw)


def multipath(n_links: int) -> act.Multipath:
    """A hash over so many links, into reg0[0..15]."""
    head = bytes.fromhex("ffff002000002320000a000104000000") + bytes(2) + (n_links - 1).to_bytes(2)
    return act.Multipath(n_links, REG0_LOW, head + bytes(6) + bytes.fromhex("000f00010004"))


REG0_LOW = SubField(field("reg0"), 0, 16)
REG1_HIGH = SubField(field("reg1"), 16, 16)
Wanted = dict[str, int | tuple[int, int]]
IP: Wanted = {"eth_type": 0x0800}
TCP: Wanted = {**IP, "ip_proto": 6}
ARP: Wanted = {"eth_type": 0x0806}
PIPELINES: dict[str, list[Flow]] = {
    "the highest priority wins and a miss drops": [
        flow(0, 5, match(**TCP, tcp_dst=2), apply(act.Resubmit(None, 1))),
        flow(0, 9, match(**IP, ipv4_dst=(0x0A000000, 0xFFFFFF00)), act.GotoTable(2)),
    ],
    "resubmit comes back, then goto": [
        flow(0, 1, match(), apply(act.Resubmit(None, 2), act.Output(2)), act.GotoTable(1)),
        flow(1, 1, match(), apply(act.Output(3))),
        flow(2, 1, match(), apply(act.Output(4)), act.GotoTable(3)),
    ],
    "the action set runs at the end, once": [
        flow(0, 1, match(), apply(act.Resubmit(None, 1)), act.WriteActions((act.Output(3),)), act.GotoTable(2)),
        flow(1, 1, match(), act.WriteActions((act.Output(2), act.PushVlan(0x8100)))),
        flow(2, 1, match(), apply(act.Output(4))),
    ],
    "a group in the action set displaces the output": [
        flow(0, 1, match(**IP), act.WriteActions((act.Group(2), act.DecTtl(), act.Output(4)))),
    ],
    "exit forgets the action set": [
        flow(0, 1, match(), act.WriteActions((act.Output(3),)), act.GotoTable(1)),
        flow(1, 1, match(), apply(act.Output(2), act.Exit())),
    ],
    "exit inside clone ends everything": [flow(0, 1, match(), apply(act.Clone((act.Exit(),)), act.Output(2)))],
    "clone runs its own action set and forgets its changes": [
        flow(0, 1, match(), apply(act.Clone((register(0, 3), act.Resubmit(None, 1))), act.OutputSubField(REG0_LOW))),
        flow(1, 1, match(reg0=3), act.WriteActions((act.Output(4),))),
    ],
    "buckets each start from the same packet": [flow(0, 1, match(**IP), apply(act.Group(1), act.Output(4)))],
    "fast failover uses the first live bucket": [
        flow(0, 1, match(), apply(act.Group(4), act.Group(3), act.Output(4))),
    ],
    "a TTL exception ends one flow only": [
        flow(0, 1, match(), apply(act.Resubmit(None, 1), act.Output(2))),
        flow(1, 1, match(**IP), apply(act.DecTtl(), act.Output(3)), act.GotoTable(2)),
    ],
    "conntrack forks and the packet goes on untracked": [
        flow(0, 1, match(**IP), apply(register(1, 5), act.Conntrack(True, False, 7, 1), act.Resubmit(None, 2))),
        flow(1, 1, match(**IP, ct_state=(0x21, 0x21), ct_zone=7, reg1=5), apply(act.Output(2))),
        flow(2, 1, match(**IP, ct_state=(0, 0x20)), apply(act.Output(3))),
    ],
    "a mark set inside ct is there after recirculation": [
        flow(0, 1, match(**IP), apply(
            act.Conntrack(True, False, 1, 1, (act.SetField(field("ct_mark"), 9, 0xFFFFFFFF),)))),
        flow(1, 1, match(**IP, ct_mark=9), apply(act.ConntrackClear(), act.Resubmit(None, 2))),
        flow(2, 1, match(**IP, ct_state=(0, 0x20)), apply(act.Output(3))),
    ],
    "the ingress port is suppressed, unless IN_PORT is meant or it was cleared": [
        flow(0, 1, match(), apply(act.Output(1), act.Output(act.OFPP_IN_PORT), act.Resubmit(None, 1))),
        flow(1, 1, match(), apply(act.SetField(field("in_port"), 0, 0xFFFFFFFF), act.Output(1))),
    ],
    "resubmit with a port changes one search": [
        flow(0, 1, match(in_port=1), apply(act.Resubmit(3, 0), act.Output(2))),
        flow(0, 2, match(in_port=3), apply(act.Resubmit(None, 1), act.Output(3))),
        flow(1, 1, match(in_port=1), apply(act.Output(4))),
    ],
    "OUTPUT to TABLE searches table 0, and reserved numbers work from registers": [
        flow(0, 1, match(reg0=0), apply(register(0, 0xFFF8), act.Output(act.OFPP_TABLE))),
        flow(0, 2, match(reg0=0xFFF8), apply(act.OutputSubField(REG0_LOW), act.Output(act.OFPP_LOCAL))),
    ],
    "registers overlap": [
        flow(0, 1, match(), apply(act.SetField(field("xreg0"), 0x500000002, 2**64 - 1), act.Move(REG0_LOW, REG1_HIGH)),
             act.GotoTable(1)),
        flow(1, 1, match(reg0=5, reg1=0x00050002), apply(act.Output(2))),
    ],
    "the stack survives resubmit but not clone": [
        flow(0, 1, match(), apply(register(0, 2), act.Push(REG0_LOW), act.Clone((act.Pop(REG1_HIGH),)),
                                  act.Resubmit(None, 1))),
        flow(1, 1, match(), apply(register(0, 0), act.Pop(REG0_LOW), act.Pop(REG0_LOW), act.OutputSubField(REG0_LOW))),
    ],
    "VLAN tags nest": [
        flow(0, 1, match(), apply(act.PushVlan(0x8100), act.SetField(field("vlan_vid"), 0x1064, 0x1FFF)),
             act.GotoTable(1)),
        flow(1, 1, match(vlan_tci=(0x1064, 0x1FFF)), apply(act.PopVlan()), act.GotoTable(2)),
        flow(2, 1, match(vlan_tci=(0, 0xFFFF)), apply(act.Output(2))),
        flow(2, 2, match(vlan_tci=(0x1005, 0x1FFF)), apply(act.Output(3))),
    ],
    "too deep a recursion forgets earlier outputs": [
        flow(0, 1, match(), apply(act.Output(2), act.Resubmit(None, 0))),
    ],
    "too many resubmits forget earlier outputs": [
        flow(0, 1, match(), apply(*(act.Resubmit(None, 1) for _ in range(70)))),
        flow(1, 1, match(), apply(*(act.Resubmit(None, 2) for _ in range(70)), act.Output(2))),
        flow(2, 1, match(), apply(act.Note(b"x"))),
    ],
    "unknown ports and metadata": [
        flow(0, 1, match(), apply(act.Output(9)), act.WriteMetadata(0x1200, 0xFF00), act.GotoTable(1)),
        flow(1, 1, match(metadata=(0x1200, 0xFFFF)), act.WriteActions((act.Output(3),)), act.GotoTable(2)),
        flow(2, 1, match(), act.ClearActions(), act.WriteActions((act.DecTtl(),))),
    ],
    "a conjunction is its conj_id flow, once every clause matches": [
        flow(0, 9, match(**IP, conj_id=1), apply(act.Output(2))),
        flow(0, 9, match(**IP, ipv4_src=0x0A000001), apply(act.Conjunction(1, 0, 2))),
        flow(0, 9, match(**TCP, tcp_dst=2), apply(act.Conjunction(1, 1, 2), act.Conjunction(2, 0, 2))),
        flow(0, 3, match(), apply(act.Output(3))),
    ],
    "a flow of higher priority beats a conjunction, one of lower does not": [
        flow(0, 2, match(conj_id=7), apply(act.Output(2))),
        flow(0, 9, match(**IP, ipv4_src=0x0A000001), apply(act.Conjunction(7, 0, 2))),
        flow(0, 9, match(**IP, nw_ttl=64), apply(act.Conjunction(7, 1, 2))),
        flow(0, 10, match(**TCP, tcp_dst=2, ct_state=(0x20, 0x20)), apply(act.Output(3))),
        flow(0, 1, match(), apply(act.Output(4))),
    ],
    "a conjunction nothing matches on is passed over, for a lower one": [
        flow(0, 9, match(**IP, ipv4_src=0x0A000001), apply(act.Conjunction(5, 0, 2))),
        flow(0, 9, match(**IP, ipv4_dst=0x0A000002), apply(act.Conjunction(5, 1, 2))),
        flow(0, 4, match(**IP, ipv4_src=0x0A000001), apply(act.Conjunction(6, 0, 2))),
        flow(0, 4, match(**TCP), apply(act.Conjunction(6, 1, 2))),
        flow(0, 1, match(conj_id=6), apply(act.Output(2))),
        flow(0, 2, match(**ARP), apply(act.Output(3))),
    ],
    "FLOOD and ALL leave by every other port": [
        flow(0, 1, match(), apply(act.Output(act.OFPP_FLOOD)), act.GotoTable(1)),
        flow(1, 1, match(in_port=3), apply(act.Output(act.OFPP_ALL), act.Output(4))),
    ],
    "NORMAL asks the MAC table, within the VLAN": [
        flow(0, 1, match(), apply(act.Output(act.OFPP_NORMAL), act.Resubmit(None, 1))),
        flow(1, 1, match(in_port=1), apply(act.SetField(field("eth_dst"), 3, 2**48 - 1), act.Output(act.OFPP_NORMAL))),
        flow(1, 2, match(in_port=4), apply(act.SetField(field("eth_dst"), 0x0180C2000001, 2**48 - 1),
                                           act.Output(act.OFPP_NORMAL))),
    ],
    "an output that is cut leaves all the same, except where it cannot be cut": [
        flow(0, 1, match(), apply(act.Output(2, 64), act.Output(act.OFPP_IN_PORT, 70), act.Output(1, 99),
                                  act.Output(act.OFPP_LOCAL, 64), act.Output(3))),
    ],
    "a bundle takes the first live member": [
        flow(0, 1, match(), apply(bundle(77, 3, active_backup=True), bundle(2, 4, active_backup=True, load=True),
                                  act.OutputSubField(REG0_LOW), bundle(78, 4, active_backup=False))),
    ],
    "a bundle without a live member goes nowhere": [
        flow(0, 1, match(), apply(bundle(77, 78, active_backup=True, load=True), bundle(77, 78, active_backup=True),
                                  act.Resubmit(None, 1))),
        flow(1, 1, match(reg0=(0xFFFF, 0xFFFF)), apply(act.Output(4))),
    ],
    "one link leaves multipath no choice": [
        flow(0, 1, match(), apply(register(0, 9), multipath(1), act.Resubmit(None, 1))),
        flow(1, 1, match(reg0=0), apply(act.Output(2))),
    ],
    "resubmit(,ct) searches by the tuple the connection began with, and only that search": [
        flow(0, 1, match(**IP, ct_state=(0x20, 0x30)), apply(
            act.Resubmit(None, 1, with_conntrack=True), act.Output(2))),
        flow(1, 2, match(**TCP, ipv4_dst=0x0A000003, tcp_dst=3), apply(act.Output(3), act.Resubmit(None, 2))),
        flow(1, 1, match(), apply(act.Output(4))),
        flow(2, 1, match(**TCP, ipv4_dst=0x0A000002, tcp_dst=2), apply(act.Output(1, 0), act.Output(4))),
    ],
    "ARP has fields of its own": [
        flow(0, 1, match(**ARP, arp_op=1, arp_spa=(0x0A000000, 0xFFFFFF00)), apply(
            act.Move(SubField(field("arp_sha"), 0, 48), SubField(field("arp_tha"), 0, 48)),
            act.SetField(field("arp_op"), 2, 0xFFFF), act.Resubmit(None, 1))),
        flow(1, 1, match(**ARP, arp_op=2, arp_tha=1), apply(act.Output(act.OFPP_IN_PORT))),
    ],
    "a pushed label covers the packet and is a copy of the one beneath": [
        flow(0, 1, match(**IP), apply(act.PushMpls(0x8847), act.SetField(field("mpls_label"), 5, 0xFFFFF)),
             act.GotoTable(1)),
        flow(1, 1, match(eth_type=0x8847, mpls_label=5, mpls_bos=1), apply(
            act.DecMplsTtl(), act.Output(2), act.PushMpls(0x8848)), act.GotoTable(2)),
        flow(2, 1, match(eth_type=0x8848, mpls_label=5, mpls_bos=0), apply(
            act.Output(3), act.PopMpls(0x8847), act.Resubmit(None, 3))),
        flow(3, 1, match(eth_type=0x8847, mpls_label=5, mpls_bos=1), apply(act.Output(4))),
    ],
    "the rest of a flow runs apart for large and for small packets": [
        flow(0, 1, match(), apply(act.Resubmit(None, 1), act.OutputSubField(REG0_LOW), act.Output(4))),
        flow(1, 1, match(), apply(act.CheckPacketLarger(100, SubField(field("reg1"), 0, 1)), act.Resubmit(None, 2),
                                  register(0, 3))),
        flow(2, 1, match(reg1=1), apply(act.Output(2))),
        flow(2, 2, match(reg1=0), apply(act.Output(3))),
    ],
    "a TTL that runs out behind check_pkt_larger ends that flow only": [
        flow(0, 1, match(), apply(act.Resubmit(None, 1), act.Output(4))),
        flow(1, 1, match(**TCP), apply(act.SetField(field("nw_ttl"), 1, 255),
                                  act.CheckPacketLarger(100, SubField(field("reg1"), 0, 1)), act.DecTtl(),
                                  act.Output(2))),
    ],
    "exit behind check_pkt_larger ends everything": [
        flow(0, 1, match(), apply(act.Resubmit(None, 1), act.Output(4))),
        flow(1, 1, match(), apply(act.CheckPacketLarger(100, SubField(field("reg1"), 0, 1)), act.Output(2),
                                  act.Exit())),
    ],
    "a new connection is translated as the action says": [
        flow(0, 1, match(**TCP), apply(act.Conntrack(True, False, 1, 1, (act.Nat(False, True, "10.0.0.7:80"),)))),
        flow(1, 1, match(**TCP, ipv4_dst=0x0A000007, tcp_dst=80), apply(act.Output(3))),
    ],
}  # fmt: skip
