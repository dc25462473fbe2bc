"""A translated packet goes on with a mark exactly where the next VFD takes it off."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from datapath_actions import departures
from openflow_peer import OpenFlowPeer
from vfd_chain import CONTROLLER_ID, PORTS, VNI, Chain, topology, traced

from vtrace_ovs.filters import canonical_text, parse
from vtrace_ovs.instrumentation.aliases import with_aliases
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.instrumentation.reading import read_log
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.records import Loc

TO_S2 = f"set_field:{VNI}->tun_id,set_field:198.18.7.2->tun_dst,output:4"
MARK = 3 << 2
TRANSLATIONS = {
    "set_field:10.0.8.1->ip_dst,resubmit(,22)": True,
    "ct(commit,zone=9,table=22,nat(dst=10.0.8.2))": True,
    "ct(commit,zone=9,table=22,nat(src=192.0.2.9))": True,
    "ct(commit,zone=9,table=22,nat(dst=10.0.8.3:5300))": True,
    "ct(commit,zone=9,table=22,nat(dst=10.0.8.4-10.0.8.5))": False,
    f"ct(commit,zone=9,nat(dst=10.0.8.6)),{TO_S2}": False,
}


@pytest.fixture
def chain(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> Chain:
    built = Chain(ovs, peer)
    built.build()
    flows = [f"table=22,priority=1,ip actions={TO_S2}"]
    for number, actions in enumerate(TRANSLATIONS):
        flows.append(f"table=20,priority=200,ip,nw_dst=10.0.30.{number} actions={actions}")
    ovs.ofctl("add-flows", "sw1", "-", stdin="\n".join(flows))
    ovs.ofctl("add-flow", "sw2", "priority=50,ip,nw_dst=10.0.8.0/24 actions=output:1")
    return built


def armed(chain: Chain, number: int) -> ArmedTask:
    """A task for what is sent to the address of one of the translations, armed on every VFD."""
    wanted = parse(f"udp,nw_src=10.0.1.1,nw_dst=10.0.30.{number},tp_dst=53")
    tables = [chain.read(name) for name in PORTS]
    task = with_aliases(replace(traced(), filter=wanted), (), topology(), tables, canonical_text)
    chain.arm(task)
    return task


@pytest.mark.parametrize("number", range(len(TRANSLATIONS)), ids=list(TRANSLATIONS))
def test_a_packet_is_marked_behind_nat_if_its_new_five_tuple_was_foretold(chain: Chain, number: int) -> None:
    """Sent for real: conntrack translates in the datapath, ``ofproto/trace`` would not."""
    task = armed(chain, number)
    marked = list(TRANSLATIONS.values())[number]
    assert bool(task.aliases) is marked
    chain.peers["sw1"].listen(CONTROLLER_ID)
    chain.ovs.appctl(
        "netdev-dummy/receive",
        "vm1",
        "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:fe),eth_type(0x0800),"
        f"ipv4(src=10.0.1.1,dst=10.0.30.{number},proto=17,tos=0,ttl=64,frag=no),udp(src=4000,dst=53)",
    )
    came, left = (read_log(chain.peers["sw1"].packet_in(), chain.plans["sw1"]) for _ in range(2))
    assert came is not None
    assert left is not None
    assert (came.probe.loc, left.probe.loc, left.probe.out_port) == (Loc.IN, Loc.OUT, 4)
    assert left.marked is marked


def test_the_mark_is_in_the_tunnel_packet_and_off_again_at_the_next_vfd(chain: Chain) -> None:
    armed(chain, 0)
    before = "in_port=1,nw_src=10.0.1.1,nw_dst=10.0.30.0,udp_src=4000,udp_dst=53,nw_ttl=64,nw_tos=0"
    line = chain.trace("sw1", f"udp,{before}").removeprefix("Datapath actions: ")
    assert [leaving.dscp for leaving in departures(line, 0) if leaving.in_tunnel] == [3]
    tunnel = f"in_port=3,tun_id={VNI},tun_src=198.18.7.2,tun_dst=198.18.7.1"
    for address, tos in (("10.0.8.1", 0), ("10.0.8.7", MARK)):
        packet = f"udp,{tunnel},nw_src=10.0.1.1,nw_dst={address},udp_src=4000,udp_dst=53,nw_ttl=63,nw_tos={MARK}"
        line = chain.trace("sw2", packet).removeprefix("Datapath actions: ")
        assert [leaving.tos for leaving in departures(line, MARK) if leaving.leaves] == [tos]
