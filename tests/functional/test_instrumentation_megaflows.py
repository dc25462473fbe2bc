"""N7, trap T42: while traffic of one port is traced, the megaflows of all other ports are what they were."""

import re
import time
from collections.abc import Callable
from itertools import product, starmap

import pytest
from megaflow_text import canonical
from openflow_peer import DEADLINE, OpenFlowPeer
from vfd_chain import PORTS, Chain, traced

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.ovsdb.unixctl import ControlSocket, control_socket

DSCP = re.compile(r"tos=[^,]*/0xfc,")
LOOKUPS = re.compile(r"(?:hit|missed|lost):(\d+)")
TRACED_PORT = "vm1"
OTHER_PORTS = ("vm3", "vm2", "out")
SOURCES = ("10.0.1.1", "10.0.1.3", "172.16.0.1")
DESTINATIONS = ("10.0.1.1", "10.0.2.2", "10.0.3.2", "10.0.6.2", "10.0.9.2", "198.51.100.7")
UDP, TCP = 17, 6
KINDS = ((UDP, 0), (TCP, 0xB8))
MARK, PACKET_TYPE = "skb_mark(0),", "packet_type(ns=0,id=0),"
ROUTED = "set(ipv4(ttl="


@pytest.fixture
def chain(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> Chain:
    built = Chain(ovs, peer)
    built.build()
    return built


def frame(port: str, source: str, destination: str, protocol: int, tos: int) -> tuple[str, str, str]:
    """The command that has a port receive it."""
    ports = f"{'udp' if protocol == UDP else 'tcp'}(src=4000,dst=53)"
    addresses = f"ipv4(src={source},dst={destination},proto={protocol},tos={tos},ttl=64,frag=no)"
    link = "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:fe),eth_type(0x0800)"
    return "netdev-dummy/receive", port, f"{link},{addresses},{ports}"


def handled(control: ControlSocket) -> int:
    """Packets the datapath has looked up so far: frames are received some time after they are sent."""
    (shown,) = control.run(("dpctl/show",))
    return sum(int(number) for number in LOOKUPS.findall(shown))


def megaflows(chain: Chain, *ports: str) -> list[str]:
    """Those that a mix of traffic from these ports makes in an empty datapath, with what is done to it."""
    frames = list(starmap(frame, ((*way, *kind) for *way, kind in product(ports, SOURCES, DESTINATIONS, KINDS))))
    with control_socket(chain.ovs.directory, DEADLINE) as control:
        control.run(("revalidator/purge",))
        expected = handled(control) + len(frames)
        for sent in frames:  # one after another: a port's queue is short
            before = handled(control)
            control.run(sent)
            deadline = time.monotonic() + DEADLINE
            while handled(control) == before:
                assert time.monotonic() < deadline, "a frame was not received"
        assert handled(control) == expected
        (dump,) = control.run(("dpctl/dump-flows", "--names"))
    return sorted(canonical(line) for line in dump.splitlines() if any(f"in_port({port})" in line for port in ports))


def without_dscp(lines: list[str]) -> list[str]:
    return sorted(DSCP.sub("", line) for line in lines)


def test_megaflows_of_other_ports_at_most_look_at_the_dscp_where_marks_may_arrive(chain: Chain) -> None:
    before = megaflows(chain, *OTHER_PORTS)
    chain.arm(traced(protocol=UDP, destination_port=53))
    during = megaflows(chain, *OTHER_PORTS)
    assert without_dscp(during) == without_dscp(before)
    changed = set(during) - set(before)
    assert changed
    assert all(ROUTED in line for line in changed), "only what crosses a patch port of ours"
    assert len(megaflows(chain, TRACED_PORT)) > len(during) / len(OTHER_PORTS), "the test would see a difference"
    chain.disarm()
    assert megaflows(chain, *OTHER_PORTS) == before


def test_where_pkt_mark_holds_the_state_megaflows_look_at_it_too(chain: Chain) -> None:
    every_register = ",".join(f"set_field:1->reg{number}" for number in range(16))
    for name in PORTS:
        chain.ovs.ofctl("add-flow", name, f"table=40,actions={every_register}")
    before = megaflows(chain, *OTHER_PORTS)
    chain.arm(traced(protocol=UDP, destination_port=53))
    assert all(plan.state.outlives_the_bridge for plan in chain.plans.values())
    during = [line.replace(MARK, "").replace(PACKET_TYPE, "") for line in megaflows(chain, *OTHER_PORTS)]
    before = [line.replace(PACKET_TYPE, "") for line in before]
    assert [line for line in during if ROUTED not in line] == [line for line in before if ROUTED not in line]
    assert len(during) > len(before), "at patch ports the addresses of the filter are looked at as well"
