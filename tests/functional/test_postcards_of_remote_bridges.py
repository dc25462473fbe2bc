"""A remote underlay bridge says what it drops: it dials us for as long as a search takes, and is then as before."""

import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import time

import pytest
import underlay_search
from remote_overlay import DEADLINE, LISTEN, Overlay, listening_port, rows
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from underlay_search import SETTINGS, TRAFFIC, WAY

from vtrace_ovs.controller.settings import ControllerSettings
from vtrace_ovs.controller.underlay import UnderlaySearcher
from vtrace_ovs.filters import parse, trace_request
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import IntentKind
from vtrace_ovs.model.topology import Bridge, BridgeRole, ServiceController
from vtrace_ovs.ovsdb.attachment import ServiceAttachment
from vtrace_ovs.ovsdb.fingerprint import fingerprint
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.session.commands import SearchUnderlay
from vtrace_ovs.session.events import Event, UnderlaySearched
from vtrace_ovs.storage.store import Store

DENIES = "priority=9,udp,nw_src=192.0.2.1,nw_dst=192.0.2.2 actions=drop\npriority=0 actions=NORMAL"
INNER = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4000, dport=53) / b"lost"
FRAME = Ether() / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=50000, dport=4789) / VXLAN(vni=5001) / INNER


@pytest.fixture
def ovs(tmp_path: Path) -> Iterator[OvsInstance]:
    instance = OvsInstance(tmp_path / "ovs", dummy=True, remotes=("ptcp:0:127.0.0.1",))
    instance.start()
    instance.vsctl("add-br", "pfd", "--", "set", "bridge", "pfd", "datapath_type=dummy")
    instance.vsctl("add-port", "pfd", "p1", "--", "set", "interface", "p1", "type=dummy")
    instance.ofctl("add-flows", "pfd", "-", stdin=DENIES)
    yield instance
    instance.stop()


@pytest.fixture
def bridge(ovs: OvsInstance) -> Bridge:
    remote = f"tcp:127.0.0.1:{listening_port(ovs, 'ovsdb-server')}"
    (bridge,) = read_inventory((remote,), DEADLINE).topology.bridges
    assert (bridge.role, bridge.attachment) == (BridgeRole.UNDERLAY, ServiceController(remote))
    return bridge


@contextmanager
def searching(
    store: Store, bridge: Bridge, settings: ControllerSettings, seconds: float
) -> Iterator["queue.SimpleQueue[Event]"]:
    """A search of this bridge, and where its answer comes."""
    answers: queue.SimpleQueue[Event] = queue.SimpleQueue()
    searcher = UnderlaySearcher(settings, store, ServiceAttachment(DEADLINE), answers.put)
    searcher.start()
    try:
        task = store.add_task(trace_request(TRAFFIC), time())
        searcher.carry_out(SearchUnderlay(task.id, (WAY,), (parse(TRAFFIC),), (bridge,), seconds))
        yield answers
    finally:
        searcher.close()


def test_a_remote_bridge_names_the_flow_that_drops_and_is_as_before(
    ovs: OvsInstance, bridge: Bridge, tmp_path: Path
) -> None:
    before = fingerprint(ovs.directory, "pfd", DEADLINE)
    seen: set[str] = set()
    remembered: set[IntentKind] = set()
    with Store.open(str(tmp_path / "vtrace.db")) as store, searching(store, bridge, SETTINGS, DEADLINE) as answers:
        until = time() + DEADLINE
        while answers.empty():
            assert time() < until, ovs.ofctl("dump-flows", "pfd")
            ovs.appctl("netdev-dummy/receive", "p1", bytes(FRAME).hex())
            seen.update(rows(ovs))
            remembered.update(intent.kind for intent in store.open_intents())
        answer = answers.get()
        assert isinstance(answer, UnderlaySearched)
        assert store.open_intents() == ()
    assert seen == {"service,out-of-band"}
    assert IntentKind.CONTROLLER_ROW in remembered
    (card,) = answer.cards
    assert (card.segment, card.bridge, card.flow is not None and card.flow.priority) == (WAY, bridge.id, 9)
    assert fingerprint(ovs.directory, "pfd", DEADLINE) == before


def test_without_an_address_to_dial_it_is_left_alone(ovs: OvsInstance, bridge: Bridge, tmp_path: Path) -> None:
    settings = replace(SETTINGS, listen=None)
    with Store.open(str(tmp_path / "vtrace.db")) as store, searching(store, bridge, settings, 0.2) as answers:
        answer = answers.get(timeout=DEADLINE)
        assert isinstance(answer, UnderlaySearched)
        assert answer.cards == ()
        assert store.open_intents() == ()
    assert rows(ovs) == []


def ours_on(ovs: OvsInstance) -> tuple[int, int]:
    """How many flows and meters of ours the bridge carries; it has no meters of its own."""
    flows, meters = ovs.ofctl("dump-flows", "pfd"), ovs.ofctl("dump-meters", "pfd")
    return flows.count("cookie=0x5654"), meters.count("meter=")


def search_and_kill(ovs: OvsInstance, place: Overlay) -> None:
    """A search in a process of its own, killed (kill -9) while the bridge carries all that a search puts there.

    The server has a VFD too: without any there is nothing to trace on, nor a controller that starts.
    """
    ovs.vsctl("add-br", "sw", "--", "set", "bridge", "sw", "datapath_type=dummy")
    ovs.vsctl("add-port", "sw", "vm", "--", "set", "interface", "vm", "type=dummy", "external_ids:iface-id=vm")
    command = (sys.executable, underlay_search.__file__, place.environment["VTRACE_DATABASE"], place.remote)
    with subprocess.Popen(command) as process:
        try:
            place.wait_until(lambda: process.poll() is not None or min(ours_on(ovs)) > 0)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("how", ["clean", "the next start"])
def test_what_a_killed_search_leaves_is_what_its_intents_name_and_is_removed(
    ovs: OvsInstance, bridge: Bridge, tmp_path: Path, how: str
) -> None:
    assert isinstance(bridge.attachment, ServiceController)
    place, before = Overlay(tmp_path, bridge.attachment.ovsdb), fingerprint(ovs.directory, "pfd", DEADLINE)
    search_and_kill(ovs, place)
    assert rows(ovs) == ["service,out-of-band"]
    assert min(ours_on(ovs)) > 0
    left = {(intent.kind, intent.target) for intent in place.open_intents()}
    assert left == {(kind, str(bridge.id)) for kind in (IntentKind.CONTROLLER_ROW, IntentKind.FLOWS, IntentKind.METER)}
    if how == "clean":
        cleaned = place.vtrace("clean", *LISTEN)
        assert cleaned.returncode == 0, cleaned.stderr
    else:
        with place.background("controller", *LISTEN):
            place.wait_until(lambda: not place.open_intents())
    assert place.open_intents() == ()
    assert fingerprint(ovs.directory, "pfd", DEADLINE) == before


def test_cleaning_without_an_address_takes_the_row_of_a_killed_search_and_says_what_is_left(
    ovs: OvsInstance, bridge: Bridge, tmp_path: Path
) -> None:
    assert isinstance(bridge.attachment, ServiceController)
    place = Overlay(tmp_path, bridge.attachment.ovsdb)
    search_and_kill(ovs, place)
    cleaned = place.vtrace("clean")
    assert cleaned.returncode == 4
    assert "--listen tcp:IP:PORT" in cleaned.stderr
    assert rows(ovs) == []
    assert {intent.kind for intent in place.open_intents()} == {IntentKind.FLOWS, IntentKind.METER}
