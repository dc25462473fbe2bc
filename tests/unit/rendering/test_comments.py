from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import TCP_DST
from vtrace_ovs.model.packet import Headers, Tunnel
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Disposition, Verdict
from vtrace_ovs.rendering.comments import record_comment

FLOW = FlowKey(40, 100, Match.of(MaskedField(TCP_DST, 443, 0xFFFF)))
HEADERS = Headers("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, 60)
BRIDGE = BridgeId("cs3", "br-int")
TUNNEL = Tunnel(7, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
ERROR = PacketInRecord(
    4, 9, BRIDGE, None, Loc.ERROR, "8f14", None, HEADERS, 2, 1, 0.0, table_id=40, flow=FLOW, cookie=5
)


def test_a_comment_says_where_which_flow_and_what_became_of_the_packet(verdict: Callable[..., Verdict]) -> None:
    assert record_comment(ERROR, verdict(Disposition.DROPPED)) == (
        "hop 2, error, cs3/br-int, in port 1, table 40: table=40, cookie=0x5, priority=100,tp_dst=443; "
        "✗ DROPPED — observed; task 9, packet 8f14"
    )


def test_the_tunnel_is_the_one_it_came_or_goes_by() -> None:
    came = replace(ERROR, loc=Loc.IN, tunnel=TUNNEL, table_id=253, flow=None)
    goes = replace(ERROR, loc=Loc.OUT, tunnel=TUNNEL, out_port=10, msg="leaves without a mark")
    assert record_comment(came, None) == (
        "hop 2, in, cs3/br-int, in port 1, VNI 7 from 192.0.2.1; no verdict on this packet alone; task 9, packet 8f14"
    )
    assert "out port 10, VNI 7 to 192.0.2.2, table 40" in record_comment(goes, None)
    assert "; leaves without a mark; " in record_comment(goes, None)


def test_names_of_others_cannot_act_in_a_terminal() -> None:
    hostile = replace(ERROR, bridge=BridgeId("\x1b[2J", "\u202e"))
    assert "\\x1b[2J/\\u202e" in record_comment(hostile, None)
