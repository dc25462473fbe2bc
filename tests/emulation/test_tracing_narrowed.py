"""N7: a trace changes megaflows only of the ports it looks at, and it looks at no more of them than it must."""

from collections.abc import Callable, Mapping

import pytest
from megaflow_text import canonical
from scapy.layers.inet import IP, UDP
from vtrace_program import DEADLINE, FrameSender, Vtrace, await_that, our_flows

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.numbering import INTEGRATION_BRIDGE
from vtrace_ovs.ovsdb.unixctl import control_socket

REFUSED = 4
SERVER = "cs1"
BLUE, RED = "blue-web2", "red-web1"
SOURCES = {BLUE: "10.0.1.12", RED: "10.0.1.11"}
DESTINATIONS = ("10.0.1.13", "10.0.2.21", "10.0.2.22")
SERVICES = (53, 80, 443, 5000, 5001, 65000)
SERVICE = "udp,tp_dst=5000"

Megaflows = Mapping[str, list[str]]

pytestmark = pytest.mark.usefixtures("unchanged")


def received(lab: Lab) -> int:
    """Packets that came in at any port of the bridge so far."""
    ports = lab.ovs(SERVER).ofctl("dump-ports", str(lab.ovs(SERVER).management_socket(INTEGRATION_BRIDGE)))
    return sum(int(line.split("rx pkts=")[1].split(",")[0]) for line in ports.splitlines() if "rx pkts=" in line)


@pytest.fixture
def megaflows(lab: Lab) -> Callable[[], Megaflows]:
    """What a mix of UDP from each of two VMs makes of an empty datapath."""

    def look() -> Megaflows:
        before, sent = received(lab), 0
        with control_socket(lab.directory / SERVER, DEADLINE) as control:
            control.run(("revalidator/purge",))
            for vm, source in SOURCES.items():
                with FrameSender(lab, vm) as sender:
                    for destination in DESTINATIONS:
                        for service in SERVICES:
                            sender.send(IP(src=source, dst=destination) / UDP(sport=4000, dport=service) / b"mix")
                            sent += 1
            await_that(lambda: received(lab) >= before + sent)
            (dump,) = control.run(("dpctl/dump-flows", "--names"))
        return {
            vm: sorted(canonical(line) for line in dump.splitlines() if f"in_port({vm})" in line and "proto=17" in line)
            for vm in SOURCES
        }

    return look


def armed(program: Vtrace, text: str, packets: int, *, wide: bool = False) -> int:
    """A task, once it is."""
    task = program.add(text, packets, int(DEADLINE), wide=wide)
    await_that(lambda: program.state(task) == "armed", lambda: program.state(task))
    return task


def test_only_ports_a_filter_may_be_about_get_other_megaflows_and_the_result_says_why(
    lab: Lab, program: Vtrace, megaflows: Callable[[], Megaflows]
) -> None:
    before = megaflows()
    assert all(before.values())
    with program.controller():
        of_web3 = armed(program, f"{SERVICE},nw_src=10.0.1.13", 1)
        assert our_flows(lab) > 0
        assert megaflows() == before, "its port is on another server"
        with program.store() as store:
            store.request_cancel(of_web3)
        to_web3 = armed(program, f"{SERVICE},nw_dst=10.0.1.13", 2)  # one of them is in the mix
        during = megaflows()
        assert during[RED] == before[RED], "the address is of the other tenant"
        assert len(during[BLUE]) > len(before[BLUE]), "the test would see a difference"
        megaflows()
        (note,) = program.result(to_web3).notes
        assert note.startswith("10.0.1.13 is an address of tenant blue: looked for at 5 edge ports of ")


def test_a_filter_that_would_be_noticed_at_every_port_is_refused_unless_that_is_accepted(
    lab: Lab, program: Vtrace, megaflows: Callable[[], Megaflows]
) -> None:
    for text in (SERVICE, f"{SERVICE},nw_dst=10.0.2.22"):  # the address is of both tenants
        refused = program("run", text)
        assert (refused.returncode, refused.stdout) == (REFUSED, "")
        (line,) = refused.stderr.splitlines()
        assert "names no source" in line
        assert "--wide" in line
    assert our_flows(lab) == 0
    before = megaflows()
    with program.controller():
        task = program.add(SERVICE, 1, 1)
        await_that(lambda: program.state(task) == "failed", lambda: program.state(task))
        wide = armed(program, SERVICE, len(SOURCES) * len(DESTINATIONS) + 1, wide=True)
        during = megaflows()
        for vm in SOURCES:
            assert len(during[vm]) > len(before[vm])
        megaflows()
        assert any("--wide" in note for note in program.result(wide).notes)
