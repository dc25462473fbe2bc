from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.codecs.trace_text import ct_next, parse_trace, trace_flow
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.packet import FiveTuple, Fragment, Headers, Tunnel

TEXT = """\
Flow: tcp,in_port=10,dl_src=02:01:0a:00:01:0b,nw_src=10.0.1.11,nw_ttl=64

bridge("br-int")
----------------
 0. tun_id=0x65,in_port=1, priority 100, cookie 0x1ab
    set_field:0x65->reg1
    resubmit(,5)
     5. priority 0
             drop
    output:100

bridge("vr-blue")
-----------------
 0. No match.
    drop
     >>>> neighbor cache miss for 172.31.0.1 on bridge br-phy, sending ARP request

Final flow: unchanged
Megaflow: recirc_id=0,eth,tcp,in_port=10
Datapath actions: meter(0),ct(commit),recirc(0x1)

===============================================================================
recirc(0x1) - resume conntrack with default ct_state=trk|new (use --ct-next to customize)
===============================================================================

bridge("br-int")
----------------
    thaw
        Resuming from table 6
 6. ct_state=+new+trk,tcp,tp_dst=443, priority 7
    output:2

Final flow: tcp
Megaflow: recirc_id=0x1,eth,tcp
Datapath actions: clone(tnl_push(tnl_port(1),header(size=50,eth(dst=06:00),out_port(7)),6)),drop
"""
SOURCE, DESTINATION = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
TCP = Headers("00:00:00:00:00:01", "00:00:00:00:00:02", 0x0800, 98, None, FiveTuple(6, SOURCE, DESTINATION, 5, 80))


def test_a_trace_is_its_lookups_and_its_end() -> None:
    trace = parse_trace(TEXT, PortNames())
    assert [(one.bridge, one.table_id, one.priority, one.cookie) for one in trace.lookups] == [
        ("br-int", 0, 100, 0x1AB), ("br-int", 5, 0, 0), ("vr-blue", 0, None, 0), ("br-int", 6, 7, 0),
    ]  # fmt: skip
    match = trace.lookups[0].match
    assert match is not None
    assert [masked.field.name for masked in match.fields] == ["in_port", "tun_id"]
    assert (trace.final_flow, trace.megaflow) == ("tcp", "recirc_id=0x1,eth,tcp")
    assert len(trace.datapath_actions) == 2
    assert trace.notes == ("neighbor cache miss for 172.31.0.1 on bridge br-phy, sending ARP request",)


@pytest.mark.parametrize(
    ("actions", "forwards"),
    [
        ("drop", False), ("ct,recirc(0x1)", False), ("meter(0),userspace(pid=0,controller(id=1))", False), ("", False),
        ("push_vlan(vid=5,pcp=0),2", True), ("6", True), ("set(ipv4(ttl=63)),pop_vlan,3", True), ("clone(ct,4)", True),
        ("tnl_push(tnl_port(1),header(vxlan(flags=0x8000000,vni=0x65)),out_port(7)),6", True),
        ("clone(tnl_push(tnl_port(1),out_port(7)))", False), ("trunc(100),5", True),
    ],
)  # fmt: skip
def test_a_bare_port_number_is_an_output(actions: str, *, forwards: bool) -> None:
    assert parse_trace(f"Datapath actions: {actions}\n", PortNames()).forwards is forwards


def test_a_match_that_cannot_be_read_is_left_out() -> None:
    trace = parse_trace('bridge("b")\n 0. in_port=p9, priority 3, cookie 0x1\n', PortNames())
    assert (trace.lookups[0].match, trace.lookups[0].priority) == (None, 3)


@pytest.mark.parametrize("text", ["", "syntax error", "Bad openflow flow syntax: in_port=p9"])
def test_an_answer_that_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="no trace"):
        parse_trace(text, PortNames())


def test_a_packet_is_written_as_open_vswitch_takes_it() -> None:
    known = replace(TCP, vlan_tci=0x7064, dscp=11, ecn=1, ttl=64, tcp_flags=2)
    assert trace_flow(known, 3, None) == (
        "in_port=3,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,dl_vlan=100,dl_vlan_pcp=3,dl_type=0x0800,"
        "nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_proto=6,nw_ttl=64,nw_tos=44,nw_ecn=1,tcp_src=5,tcp_dst=80,tcp_flags=2"
    )


def test_what_is_not_known_is_left_out() -> None:
    open_ = replace(TCP, eth_dst="", five_tuple=FiveTuple(6, SOURCE, DESTINATION))
    assert trace_flow(open_, 3, None) == (
        "in_port=3,dl_src=00:00:00:00:00:01,dl_type=0x0800,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_proto=6"
    )


def test_tunnels_fragments_and_other_protocols_have_their_fields() -> None:
    tunnel = Tunnel(101, IPv4Address("192.0.2.1"), IPv6Address("fe80::1"))
    assert trace_flow(TCP, 0xFFFFFFFE, tunnel).startswith(
        "in_port=65534,tun_id=0x65,tun_src=192.0.2.1,tun_ipv6_dst=fe80::1,"
    )
    later = replace(TCP, fragment=Fragment.LATER, five_tuple=FiveTuple(6, SOURCE, DESTINATION))
    assert trace_flow(later, 1, None).endswith("nw_proto=6,nw_frag=later")
    ping = replace(TCP, five_tuple=FiveTuple(1, SOURCE, DESTINATION), icmp_type=8, icmp_code=0)
    assert trace_flow(ping, 1, None).endswith("nw_proto=1,icmp_type=8,icmp_code=0")
    six = FiveTuple(58, IPv6Address("fe80::1"), IPv6Address("fe80::2"))
    solicited = replace(TCP, eth_type=0x86DD, five_tuple=six, icmp_type=135, icmp_code=0)
    assert "ipv6_src=fe80::1,ipv6_dst=fe80::2,nw_proto=58,icmpv6_type=135" in trace_flow(solicited, 1, None)
    assert "nw_proto=58,ipv6_label=7," in trace_flow(replace(solicited, flow_label=7), 1, None)
    assert trace_flow(replace(TCP, eth_type=0x0806, five_tuple=None), 1, None).endswith("dl_type=0x0806")


def test_connection_states_are_written_for_ct_next() -> None:
    assert ct_next(0x21) == "new,trk"


ACROSS_BRIDGES = """\
Flow: tcp,in_port=2

bridge("br-int")
----------------
 0. in_port=2, priority 100, cookie 0x7fec9540
    resubmit(,39)
39. reg15=0x1, priority 100, cookie 0xf38680bc
    output:3
     -> output to native tunnel

    bridge("br-phy")
    ----------------
         0. priority 0
            NORMAL
             -> forwarding to learned port
    resubmit(,40)
    40. priority 0
            output:1

        bridge("br-ex")
        ---------------
             0. priority 0
                NORMAL
10. priority 7
    drop

Final flow: unchanged
Datapath actions: 2
"""


def test_a_lookup_is_the_bridges_it_was_made_in_also_after_a_tunnel_or_a_patch_port() -> None:
    found = parse_trace(ACROSS_BRIDGES, PortNames()).lookups
    assert [(each.bridge, each.table_id) for each in found] == [
        ("br-int", 0), ("br-int", 39), ("br-phy", 0), ("br-int", 40), ("br-ex", 0), ("br-int", 10),
    ]  # fmt: skip


def test_a_packet_in_a_tunnel_brings_the_option_it_carries() -> None:
    headers = Headers("00:00:00:00:00:01", "00:00:00:00:00:02", 0x0800, 98)
    tunnel = Tunnel(2, IPv4Address("192.168.0.1"), IPv4Address("192.168.0.2"), 0x30002)
    place = "tun_src=192.168.0.1,tun_dst=192.168.0.2"
    assert trace_flow(headers, 3, tunnel).startswith(f"in_port=3,tun_id=0x2,tun_metadata0=0x30002,{place},")
    assert trace_flow(headers, 3, replace(tunnel, option=0)).startswith(f"in_port=3,tun_id=0x2,{place},")
