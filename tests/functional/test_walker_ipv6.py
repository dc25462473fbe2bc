"""Holds the walker against ``ofproto/trace`` on IPv6: prefixes, hop limits, ICMPv6, fragments and rewritten headers."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

import pytest
from walker_judge import LENGTH, Judge, Packet, judging
from walker_pipelines import apply, flow, match, register

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.oxm import SubField, field
from vtrace_ovs.model.packet import FiveTuple, Fragment, Headers

IP6 = {"eth_type": 0x86DD}
TCP6 = {**IP6, "ip_proto": 6}
ICMP6 = {**IP6, "ip_proto": 58}
FRAGMENTS = {Fragment.NO: "no", Fragment.FIRST: "first", Fragment.LATER: "later"}


@dataclass(frozen=True)
class Packet6(Packet):
    """IPv6 TCP, UDP or ICMPv6; a later fragment has protocol 44, as Open vSwitch has it."""

    source: str = "fd00::1"
    destination: str = "fd00:0:0:1::2"
    dscp: int = 0
    label: int = 0
    icmp_type: int = 128
    fragment: Fragment = Fragment.NO

    @property
    def trace_text(self) -> str:
        link = f"in_port={self.in_port},dl_src=00:00:00:00:00:01,dl_dst={self.eth_dst.to_bytes(6).hex(':')}"
        network = (
            f"dl_type=0x86dd,nw_proto={self.protocol},ipv6_src={self.source},ipv6_dst={self.destination},"
            f"ipv6_label={self.label},nw_ttl={self.ttl},nw_tos={self.dscp << 2},nw_frag={FRAGMENTS[self.fragment]}"
        )
        transport = {
            6: f",tcp_src={self.source_port},tcp_dst={self.destination_port}",
            17: f",udp_src={self.source_port},udp_dst={self.destination_port}",
            58: f",icmpv6_type={self.icmp_type},icmpv6_code=0",
        }
        return f"{link},{network}{transport.get(self.protocol, '')}"

    @property
    def headers(self) -> Headers:
        ported = self.protocol in {6, 17}
        five_tuple = FiveTuple(
            self.protocol,
            IPv6Address(self.source),
            IPv6Address(self.destination),
            self.source_port if ported else None,
            self.destination_port if ported else None,
        )
        return Headers(
            *("00:00:00:00:00:01", self.eth_dst.to_bytes(6).hex(":"), 0x86DD, LENGTH, None, five_tuple),
            dscp=self.dscp,
            ecn=0,
            ttl=self.ttl,
            fragment=self.fragment,
            tcp_flags=0 if self.protocol == 6 else None,
            icmp_type=self.icmp_type if self.protocol == 58 else None,
            icmp_code=0 if self.protocol == 58 else None,
            flow_label=self.label,
        )


def within(prefix: str) -> tuple[int, int]:
    network = IPv6Network(prefix)
    return int(network.network_address), int(network.netmask)


def write(name: str, value: int) -> act.SetField:
    return act.SetField(field(name), value, field(name).full_mask)


PIPELINES: dict[str, list[Flow]] = {
    "the longest prefix is the one of the highest priority": [
        flow(0, 164, match(**IP6, ipv6_dst=within("fd00:0:0:1::/64")), apply(act.DecTtl(), act.Output(2))),
        flow(0, 132, match(**IP6, ipv6_dst=within("fd00::/32")), apply(act.Output(3))),
        flow(0, 100, match(**IP6), apply(act.Output(4))),
        flow(0, 90, match(eth_type=0x0800), apply(act.Output(1))),
    ],
    "a rewritten address is what later tables match": [
        flow(0, 2, match(**TCP6, tcp_dst=2), apply(
            write("ipv6_dst", int(IPv6Address("2001:db8::7"))), write("ip_dscp", 46), write("tcp_dst", 80),
            act.Resubmit(None, 1))),
        flow(0, 1, match(**IP6), act.GotoTable(1)),
        flow(1, 3, match(**TCP6, ipv6_dst=within("2001:db8::/32"), ip_dscp=46, tcp_dst=80), apply(act.Output(2))),
        flow(1, 1, match(**IP6, ip_dscp=0), apply(act.Output(3))),
    ],
    "half an address goes through a register": [
        flow(0, 1, match(**IP6), apply(
            act.Move(SubField(field("ipv6_dst"), 64, 16), SubField(field("reg5"), 0, 16)),
            act.Move(SubField(field("ipv6_src"), 0, 128), SubField(field("xxreg0"), 0, 128)),
            act.Resubmit(None, 1))),
        flow(1, 2, match(**IP6, reg5=1, xxreg0=within("fd00::1/128")), apply(act.Output(2))),
        flow(1, 1, match(**IP6), apply(act.Output(4))),
    ],
    "ICMPv6 has types of its own": [
        flow(0, 3, match(**ICMP6, icmpv6_type=128, icmpv6_code=0), apply(register(0, 1), act.Output(2))),
        flow(0, 2, match(**ICMP6), apply(act.Output(3))),
        flow(0, 1, match(**IP6), apply(act.Output(4))),
    ],
    "fragments show no ports, and later ones protocol 44": [
        flow(0, 9, match(**TCP6, tcp_dst=2), apply(act.Output(2))),
        flow(0, 8, match(**TCP6, ip_frag=(1, 3)), apply(act.Output(3))),
        flow(0, 7, match(**IP6, ip_proto=44), apply(act.Output(4))),
        flow(0, 6, match(**IP6, ip_frag=(2, 2)), apply(act.Output(1))),
        flow(0, 5, match(**IP6), apply(act.DecTtl(), act.Output(3))),
    ],
    "a flow label is matched and written": [
        flow(0, 2, match(**IP6, ipv6_label=5), apply(write("ipv6_label", 6), act.Resubmit(None, 1))),
        flow(0, 1, match(**IP6), act.GotoTable(1)),
        flow(1, 2, match(**IP6, ipv6_label=6), apply(act.Output(2))),
        flow(1, 1, match(**IP6), apply(act.Output(3))),
    ],
    "the hop limit that runs out stops the packet, not what it did before": [
        flow(0, 1, match(**IP6), apply(act.Output(2), act.DecTtl(), act.Output(3)), act.GotoTable(1)),
        flow(1, 1, match(**IP6, nw_ttl=63), apply(act.Output(4))),
    ],
}  # fmt: skip
PACKETS = (
    Packet6(),
    Packet6(protocol=17, destination="fd00::7:2", ttl=1, in_port=3),
    Packet6(protocol=58, destination="2001:db8::7", label=5),
    Packet6(protocol=58, icmp_type=135, ttl=255, dscp=46),
    Packet6(fragment=Fragment.FIRST),
    Packet6(protocol=44, fragment=Fragment.LATER),
    Packet6(source="2001:db8::1", label=5, ttl=1),
    Packet(),
)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with judging(tmp_path_factory.mktemp("judge") / "ovs") as found:
        yield found


@pytest.mark.parametrize("name", PIPELINES)
def test_open_vswitch_and_the_walker_agree_that_for_ipv6(judge: Judge, name: str) -> None:
    found = judge.agree(PIPELINES[name], PACKETS)
    assert all(not each.open for each in found)
    assert sum(each.outputs for each in found) >= 4
