"""What counts packets that pass an underlay bridge leaves them, and all others, to the flows they found before."""

import re
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.controller.dialogue import Dialogue, dial
from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.instrumentation.postcards import watch
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.ovsdb.inventory import read_inventory

DEADLINE = 30.0
ENDS = (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
PRODUCTION = {
    "learning": "priority=0 actions=NORMAL",
    "routing": (
        "priority=50,ip,in_port=2 actions=resubmit(,5)\n"
        "priority=7,ip actions=mod_nw_tos:32,dec_ttl,goto_table:5\npriority=0 actions=NORMAL\n"
        "table=5,priority=9,udp,nw_dst=192.0.2.2,tp_dst=4789 actions=set_queue:1,output:3\n"
        "table=5,priority=8,ip,nw_dst=192.0.2.2 actions=ct(table=6)\ntable=5,priority=1 actions=group:1\n"
        "table=6,ct_state=+new,ip actions=ct(commit),output:3\ntable=6,priority=0 actions=output:4"
    ),
}
PACKETS = (
    "udp,nw_src=192.0.2.1,nw_dst=192.0.2.2,udp_dst=4789,nw_ttl=9",
    "tcp,nw_src=192.0.2.1,nw_dst=192.0.2.2,tcp_dst=22,nw_ttl=9",
    "udp,nw_src=192.0.2.2,nw_dst=192.0.2.1,udp_dst=4789,nw_ttl=9",
    "udp,nw_src=192.0.2.1,nw_dst=192.0.2.3,udp_dst=4789,nw_ttl=9",
    "arp",
)


@pytest.fixture
def dialogue(ovs: OvsInstance) -> Iterator[Dialogue]:
    ovs.vsctl("add-br", "pfd", "--", "set", "bridge", "pfd", "datapath_type=dummy")
    for number in ("1", "2", "3", "4"):
        port = ("set", "interface", f"p{number}", "type=dummy", f"ofport_request={number}")
        ovs.vsctl("add-port", "pfd", f"p{number}", "--", *port)
    ovs.ofctl("add-group", "pfd", "group_id=1,type=all,bucket=output:3,bucket=output:4")
    (bridge,) = read_inventory((ovs.ovsdb,), DEADLINE).topology.bridges
    with closing(dial(bridge, str(ovs.management_socket("pfd")), 7, DEADLINE)) as opened:
        yield opened


def fates(ovs: OvsInstance) -> list[str]:
    """What the datapath does with each packet at each port; names of second lookups are always new."""
    traced = (ovs.appctl("ofproto/trace", "pfd", f"in_port={port},{packet}") for port in (1, 2) for packet in PACKETS)
    done = (" ".join(re.findall(r"Datapath actions: .*", text)) for text in traced)
    return [re.sub(r"recirc\(0x[0-9a-f]+\)", "recirc", text) for text in done]


@pytest.mark.parametrize("name", PRODUCTION)
def test_the_datapath_does_the_same_with_every_packet(ovs: OvsInstance, dialogue: Dialogue, name: str) -> None:
    ovs.ofctl("del-flows", "pfd")
    ovs.ofctl("add-flows", "pfd", "-", stdin=PRODUCTION[name])
    before = fates(ovs)
    plan = watch(dialogue.read().tables, [ENDS], Settings(7, 1), 60)
    assert plan is not None
    assert plan.passing
    assert dialogue.program((plan.meter, *plan.flows)).errors == ()
    assert "priority 65535" in ovs.appctl("ofproto/trace", "pfd", f"in_port=1,{PACKETS[0]}")
    assert fates(ovs) == before
