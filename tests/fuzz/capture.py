"""Turns a real ovs-vswitchd's answers into the corpus that is mutated: ``python tests/fuzz/capture.py``.

Run it again when a sample of ``tests/functional/flow_samples.py`` is new. Needs Open vSwitch, no root.
"""

import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "functional")]

from flow_samples import ACTIONS, MATCHES, TLV_MAP  # noqa: E402 - found by the line before
from openflow_peer import OpenFlowPeer  # noqa: E402 - as above
from targets import CORPUS, Kind  # noqa: E402 - as above

from vtrace_ovs.codecs import openflow  # noqa: E402 - as above
from vtrace_ovs.codecs.framing import Message  # noqa: E402 - as above
from vtrace_ovs.lab.daemons import OvsInstance  # noqa: E402 - as above
from vtrace_ovs.model.flow import Watch  # noqa: E402 - as above

CONTROLLER_ID = 0x5654
WATCHED = 99
ETHERNET = "0e0000000002 0e0000000001 "
IPV4 = "0800 45b9 0054 1234 4000 4011 12aa 0a000001 0a000102 "
TCP = (
    "0800 4500 0034 1234 4000 4006 12aa 0a000001 0a000102 d903 01bb 00000001 00000000 8002 faf0 " + "0" * 8 + "020405b4"
)
FRAMES = (
    ETHERNET + IPV4 + "d903 01bb 0040 0000" + "00" * 56,
    ETHERNET + TCP,
    ETHERNET + "8100 2064 " + TCP,
    ETHERNET + "88a8 0064 8100 0065 " + TCP,
    ETHERNET + "0800 4500 0054 0001 4000 4001 2aa7 0a000001 0a000002 0800 f7ff 0001 0001" + "61" * 56,
    ETHERNET + "0800 4f00 0054 0001 2000 4084 2aa7 0a000001 0a000002 " + "01" * 40 + "0035 0035 00000000",
    ETHERNET + "0806 0001 0800 0604 0001 0e0000000001 0a000001 000000000000 0a000002",
    ETHERNET
    + "86dd 60012345 0020 3a 40 "
    + "fe80"
    + "00" * 13
    + "01 fe80"
    + "00" * 13
    + "02 8700 0000 00000000"
    + "fe" * 24,
    ETHERNET + "86dd 6b000000 0028 00 40 " + "fe80" + "00" * 13 + "01 fe80" + "00" * 13 + "02"
    " 2b00000000000000 2c00000000000000 06000001 00000007 d903 01bb 00000001 00000000 5010 faf0 0000 0000",
)
TRACED = """
    table=0,priority=9,in_port=2,ip actions=ct(table=20,zone=5)
    table=20,ip,ct_state=+new+trk,nw_dst=10.0.0.0/24 actions=set_field:1->reg3,clone(output:1),resubmit(,21),NORMAL
    table=21,tcp,tp_dst=443 actions=group:1
    table=21,priority=3,ipv6 actions=meter:1,controller(max_len=9)
"""
TRACES = (
    "in_port=2,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tcp_dst=443,nw_ttl=64",
    "in_port=2,udp,nw_src=10.0.0.1,nw_dst=10.1.0.2,dl_vlan=5,dl_vlan_pcp=0",
    "in_port=2,tcp6,ipv6_src=fe80::1,ipv6_dst=fe80::2",
    "in_port=1,arp,arp_op=1,arp_spa=10.0.0.1",
)
TOGETHER = 6
FILTERS = (
    "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5,tp_dst=443",
    "udp nw_src=10.0.1.0/255.255.255.0 , tp_src=any",
    "icmp,icmp_type=8,icmp_code=0",
    "ip,nw_proto=6,tcp_dst=80",
    "dl_type=0x0800,ip_src=*,ip_dst=10.0.0.0/8",
    "tcp,tp_dst=0x17",
    "tcp,ipv4_src=1.2.3.4,tcp_src=1,tcp_dst=2",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        ovs = OvsInstance(Path(place), dummy=True)
        try:
            ovs.start()
            lines = [f"{kind.value} {octets.hex()}" for kind, octets in _captured(ovs)]
        finally:
            ovs.stop()
    CORPUS.write_text("\n".join(sorted(set(lines))) + "\n", encoding="ascii")
    print(f"{CORPUS}: {len(lines)} inputs")  # noqa: T201 - a script


def _captured(ovs: OvsInstance) -> list[tuple[Kind, bytes]]:
    _set_up(ovs)
    peer = OpenFlowPeer(ovs.management_socket("br0"))
    peer.listen(CONTROLLER_ID)
    found: list[tuple[Kind, bytes]] = [
        (Kind.GROUPS, peer.multipart(openflow.group_desc_request).body),
        (Kind.METERS, peer.multipart(openflow.meter_config_request).body),
        (Kind.METER_COUNTERS, peer.multipart(openflow.meter_stats_request).body),
        (Kind.PORTS, peer.multipart(openflow.port_desc_request).body),
        (Kind.PORT_COUNTERS, peer.multipart(openflow.port_stats_request).body),
    ]
    found += [(Kind.FLOWS, flow) for flow in _flows(peer.multipart(openflow.flow_stats_request).body)]
    answers = [peer.ask(request) for request in (openflow.features_request, openflow.get_config_request)]
    for frame in FRAMES:
        octets = bytes.fromhex(frame)
        found.append((Kind.FRAME, octets))
        ovs.appctl("netdev-dummy/receive", "p1", octets.hex())
        answers.append(peer.receive(openflow.is_packet_in))
    answers += [
        Message(4, 0, 1, bytes.fromhex("0001000800000012")),
        Message(4, 1, 9, bytes.fromhex("00010006" + "04" * 64)),
    ]
    answers += [
        Message(4, 19, 7, bytes.fromhex("0001000100000000") + body[:600]) for kind, body in found if kind is Kind.FLOWS
    ][:20]
    found += [(Kind.MESSAGE, _wire(answer)) for answer in answers]
    found += [(Kind.FILTER, text.encode()) for text in FILTERS]
    found += [(kind, text.encode()) for kind, text in _texts(ovs)]
    found += [(Kind.CAPTURE, octets) for octets in (*_capture_files(), FRAMES[0].encode(), b"0x" + FRAMES[1].encode())]
    found += [(Kind.MESSAGE, _wire(message)) for message in _news(ovs, peer)]
    peer.close()
    return found


def _news(ovs: OvsInstance, peer: OpenFlowPeer) -> list[Message]:
    """What a flow monitor says: the answer to the request for it, flows that somebody deletes, a pause."""
    answer = peer.ask(lambda xid: openflow.flow_monitor_request({1: Watch(WATCHED)}, xid))
    for match in ("tcp,reg15=0x2/0x3,tp_dst=0x50/0xfff0", "ipv6,in_port=1,ipv6_src=2001:db8::/32", "arp"):
        ovs.ofctl("add-flow", "br0", f"cookie=0x5654000000000000,table={WATCHED},{match},actions=drop")
    ovs.ofctl("del-flows", "br0", f"table={WATCHED}")
    return [answer, peer.receive(openflow.is_flow_update), Message(4, 4, 0, bytes.fromhex("4f4e46000000074f"))]


def _set_up(ovs: OvsInstance) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    for number in (1, 2):
        ovs.vsctl("add-port", "br0", f"p{number}", "--", "set", "interface", f"p{number}", "type=dummy")
    ovs.ofctl("del-flows", "br0")
    ovs.ofctl("add-tlv-map", "br0", TLV_MAP)
    ovs.ofctl("add-group", "br0", "group_id=1,type=all,bucket=output:1,bucket=set_field:1->reg0,output:2")
    ovs.ofctl(
        "add-group", "br0", "group_id=2,type=fast_failover,bucket=watch_port:1,output:1,bucket=watch_port:2,output:2"
    )
    ovs.ofctl(
        "add-group", "br0", "group_id=3,type=select,bucket=weight=3,output:1,bucket=ct(commit,nat(dst=10.0.0.1:80))"
    )
    ovs.ofctl("add-meter", "br0", "meter=1,pktps,burst,stats,bands=type=drop,rate=10,burst_size=20")
    ovs.ofctl("add-meter", "br0", "meter=2,kbps,stats,bands=type=drop,rate=1000")
    lines = [f"table=1,cookie={n},priority=7,{match},actions=drop" for n, match in enumerate(MATCHES, 1)]
    lines += [
        f"table=2,cookie={n},priority={n},{match}actions={actions}" for n, (match, actions) in enumerate(ACTIONS, 1)
    ]
    log = f"controller(id={CONTROLLER_ID},max_len=192,meter_id=1,userdata=56.54.72.63.01.02.03.04.05)"
    lines.append(
        f"table=0,in_port=1,actions=set_field:0xabc->reg3,set_field:0x42->tun_id,set_field:7->metadata,{log},output:2"
    )
    ovs.ofctl("add-flows", "br0", "-", stdin="\n".join(lines))


def _flows(body: bytes) -> list[bytes]:
    """One input per flow, so that a mutation is never lost behind an earlier broken one; and a few together."""
    cut: list[bytes] = []
    offset = 0
    while offset < len(body):
        length = int.from_bytes(body[offset : offset + 2])
        cut.append(body[offset : offset + length])
        offset += length
    return [*cut, *(b"".join(cut[start : start + 5]) for start in range(0, len(cut), 50))]


def _texts(ovs: OvsInstance) -> Iterator[tuple[Kind, str]]:
    """What ovs-ofctl and ovs-appctl print, a few lines at a time."""
    shown = ovs.ofctl("show", "br0")
    for command in ("dump-flows", "dump-groups", "dump-meters"):
        heading, *lines = ovs.ofctl(command, "br0").splitlines()
        yield Kind.DUMP, "\n".join([heading, *lines[:3], shown])
        for start in range(0, len(lines), TOGETHER):
            yield Kind.DUMP, "\n".join(lines[start : start + TOGETHER])
    ovs.appctl("fdb/add", "br0", "p1", "5", "00:00:00:00:00:05")
    yield Kind.MAC_TABLE, ovs.appctl("fdb/show", "br0")
    ovs.ofctl("add-flows", "br0", "-", stdin=TRACED)
    for flow in TRACES:
        yield Kind.TRACE, ovs.appctl("ofproto/trace", "br0", flow)


def _capture_files() -> Iterator[bytes]:
    """The frames as pcap and as pcapng, of either byte order."""
    frames = [bytes.fromhex(frame) for frame in FRAMES[:4]]
    for order in "<>":
        records = (struct.pack(f"{order}4I", 1, 2, len(frame), len(frame)) + frame for frame in frames)
        yield struct.pack(f"{order}IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records)
        blocks = [
            (0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)),
            (1, struct.pack(f"{order}HxxI", 1, 96)),
        ]
        blocks += [(6, struct.pack(f"{order}5I", 0, 0, 0, len(frame), len(frame)) + frame) for frame in frames]
        blocks.append((3, struct.pack(f"{order}I", len(frames[0])) + frames[0]))
        yield b"".join(_block(kind, body + bytes(-len(body) % 4), order) for kind, body in blocks)


def _block(kind: int, body: bytes, order: str) -> bytes:
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def _wire(message: Message) -> bytes:
    return (
        bytes((message.version, message.type))
        + (8 + len(message.body)).to_bytes(2)
        + message.xid.to_bytes(4)
        + message.body
    )


if __name__ == "__main__":
    main()
