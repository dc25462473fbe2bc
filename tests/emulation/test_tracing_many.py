"""Sixty-four tasks at once, eight of them overlapping all the others: each gets its own evidence, and only that."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from scapy.layers.inet import IP, UDP
from vtrace_program import DEADLINE, FrameSender, Vtrace, pauses, repeating

from vtrace_ovs.filters import accepts, parse
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.verdict import CauseCode, Disposition, TaskResult

PERMITTED, DENIED = 5000, 5001
FIRST_SOURCE = 20000
SINGLE = 56
RED_SOURCE = 30000
PAIR = "udp,nw_src=10.0.1.11,nw_dst=10.0.2.22"
PACKETS = 2

pytestmark = pytest.mark.usefixtures("unchanged")


@dataclass(frozen=True)
class Asked:
    """A task, and the ports of the traffic it must find: whatever is sent there, permitted, denied or both."""

    filter: str
    fates: frozenset[Disposition]
    packet_count: int = PACKETS


DELIVERED, DROPPED = (frozenset({fate}) for fate in (Disposition.DELIVERED, Disposition.DROPPED))


def port_of(number: int) -> int:
    return PERMITTED if number % 2 else DENIED


ONE_EACH = tuple(
    Asked(f"{PAIR},tp_src={FIRST_SOURCE + number},tp_dst={port_of(number)}", DELIVERED if number % 2 else DROPPED)
    for number in range(SINGLE)
)
OVERLAPPING = (
    Asked(PAIR, DELIVERED | DROPPED, 30),
    Asked(PAIR, DELIVERED | DROPPED, 20),
    Asked(f"{PAIR},tp_dst={PERMITTED}", DELIVERED),
    Asked(f"{PAIR},tp_dst={PERMITTED}", DELIVERED, 10),
    Asked(f"{PAIR},tp_dst={DENIED}", DROPPED, 10),
    Asked(f"udp,nw_src=10.0.1.0/24,tp_dst={DENIED}", DROPPED, 10),
    Asked(f"udp,nw_dst=10.0.2.22,tp_src={FIRST_SOURCE + 1}", DELIVERED),
    Asked(f"udp,nw_src=10.0.1.11,tp_src={FIRST_SOURCE}", DROPPED),
)


@pytest.fixture
def traffic(lab: Lab) -> Iterator[None]:
    """One packet after another from each source port, and the same from the other tenant, until the test is over."""
    with FrameSender(lab, "blue-web1") as blue, FrameSender(lab, "red-web1") as red:

        def send(number: int) -> None:
            source = number % SINGLE
            transport = UDP(sport=FIRST_SOURCE + source, dport=port_of(source))
            for sender in (blue, red):
                sender.send(IP(src="10.0.1.11", dst="10.0.2.22", id=number % 0xFFFF + 1) / transport / b"many")

        with repeating(send, 0.01) as sent:
            yield
        assert sent.result() > SINGLE


@pytest.mark.usefixtures("traffic")
def test_sixty_four_tasks_with_overlapping_filters_all_find_their_own_packets(lab: Lab, program: Vtrace) -> None:
    asked = (*ONE_EACH, *OVERLAPPING)
    web = lab.base.subnet_of(lab.base.vm("blue-web1"))
    tasks = [program.add(one.filter, one.packet_count, 60, vni=web.vni) for one in asked]
    assert len(tasks) == 64
    with program.controller() as controller:
        _await_all(program, controller)
        results = [program.result(number) for number in tasks]
        assert controller.poll() is None
    with program.store() as store:
        records = [store.records(number) for number in tasks]
    for one, result, copies in zip(asked, results, records, strict=True):
        _is_right(one, result)
        _is_its_own(one, copies, lab)


def _await_all(program: Vtrace, controller: subprocess.Popen[str]) -> None:
    """Sixty-four tasks are judged by one processor that others use as well."""
    with program.store() as store:
        deadline = time.monotonic() + 3 * DEADLINE
        for now in pauses(0.1):
            if not store.unfinished() or controller.poll() is not None or now > deadline:
                return


def _is_right(one: Asked, result: TaskResult) -> None:
    assert {group.verdict.disposition for group in result.groups} == one.fates, (one, result.verdict, result.notes)
    if Disposition.DROPPED in one.fates:
        assert result.verdict.code is CauseCode.SECURITY_DEFAULT_DENY
    assert result.packets >= one.packet_count


def _is_its_own(one: Asked, copies: tuple[PacketInRecord, ...], lab: Lab) -> None:
    """Every packet entered by the tenant's own port, and as the filter says; nothing else was recorded."""
    wanted = parse(one.filter)
    source = lab.base.vm("blue-web1")
    entered = [copy for copy in copies if copy.loc is Loc.IN and copy.dscp_mark == 1]
    assert {copy.headers.eth_src for copy in entered} == {source.mac}
    assert {copy.packet_id for copy in copies} == {copy.packet_id for copy in entered}
    assert all(accepts(wanted, copy.headers) for copy in copies)
