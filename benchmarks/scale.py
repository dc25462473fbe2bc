"""Turns 10 and 1,000 simulated switches into times from a task added to armed, and the processor time in them.

Controller and database are the real ones, in this process; the switches (``simulated_switches.py``) are in another one,
and have no datapath to wait for. ``scale.py`` runs itself once per case.
"""

import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from page import Section, milliseconds, publish, quantile, verdict
from simulated_switches import address, production, vtep

from vtrace_ovs.controller.framework import prefer
from vtrace_ovs.controller.settings import ControllerSettings, Surroundings
from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.datapath import DatapathReading
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.ovsdb.attachment import ServiceAttachment
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.storage.store import Store

WARM_UP = 1
ANSWER_DEADLINE = 60.0
DEADLINE = 300.0
VNI = 5001
LOOK = 0.002
ONCE = 3600.0


Measured = tuple[float, float, int]


@dataclass(frozen=True)
class Case:
    """So many switches in the inventory, traffic that starts at the first, how often, and the bar if there is one."""

    switches: int
    where: str
    traffic: str
    repetitions: int
    bar: float | None = None


CASES = (
    Case(10, "one other server", f"tcp,nw_src={address(0)},nw_dst={address(1)},tp_dst=443", 10, 0.050),
    Case(1000, "one other server", f"tcp,nw_src={address(0)},nw_dst={address(1)},tp_dst=443", 10, 0.600),
    Case(1000, "every server with a tunnel flow", f"tcp,nw_src={address(0)},tp_dst=443", 5),
    Case(1000, "any server: NORMAL forwards it", f"udp,nw_src={address(0)},tp_dst=53", 1),
)
NOTES = """\
Tasks one after another, after {warm_up} to warm up: from the row's `created_at` to `armed_at`. Each reads those \
switches the traffic may come to, hop by hop (of up to 16 all), plans, writes the intents to the database, installs \
sinks on these switches, then sources on one, a barrier each. Those it needs are connected by then: the tasks follow \
one another within seconds.
Switches are simulated in one other process: {flows} production flows each, no datapath, so nothing is \
waited for behind a barrier.
Processor time: that of the controller's process, all threads, from added to armed, median."""


def main() -> None:
    """One process per case, a table."""
    rows = []
    for number, case in enumerate(CASES):
        done = subprocess.run([sys.executable, __file__, str(number)], stdout=subprocess.PIPE, text=True, check=True)
        found = [[float(word) for word in line.split()] for line in done.stdout.splitlines()[-3:]]
        times, spent, armed = found
        middle = quantile(times, 0.5)
        bar = "" if case.bar is None else f"{milliseconds(case.bar)} ({verdict(middle, case.bar)})"
        figures = (milliseconds(middle), milliseconds(max(times)), milliseconds(quantile(spent, 0.5)))
        rows.append((f"{case.switches:,}", case.where, f"{max(armed):,.0f}", *figures, bar))
    given = {"warm_up": WARM_UP, "flows": len(production(0))}
    header = ("switches", "the traffic may come to", "armed VFDs", "armed, median", "slowest", "processor time", "bar")
    publish(
        Section("scale", "Arming in inventories of many switches", header, rows, NOTES.format(**given).splitlines())
    )


def measure(case: Case) -> None:
    """Be a controller of so many switches; print times, processor times and numbers of armed VFDs, a line each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        script = str(Path(__file__).with_name("simulated_switches.py"))
        with subprocess.Popen(
            [sys.executable, script, directory, str(case.switches)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as switches:
            if switches.stdout is None or switches.stdout.readline() != "ready\n":
                raise SystemExit("the simulated switches did not start")
            try:
                control(place, case)
            finally:
                switches.terminate()


def control(place: Path, case: Case) -> None:
    """Run the controller; a thread adds tasks, and ends it."""
    prefer(None)
    runner = importlib.import_module("vtrace_ovs.controller.runner")
    network = topology(place, case.switches)
    found: list[Measured] = []
    with Store.open(str(place / "vtrace.db")) as store:
        around = Surroundings(
            store=store,
            inventory=lambda: (network, ()),
            probe=lambda _: "it does not answer",
            remote=ServiceAttachment(1.0),
            wait_rounds=lambda *_: True,
            observe=lambda *_, **__: None,
            name_flows=lambda _: (),
            read_datapath=lambda _, question: DatapathReading(question, 0.0),
        )
        threading.Thread(target=_trace, args=(store, found, case), daemon=True).start()
        patient = SessionSettings(answer_deadline=ANSWER_DEADLINE)
        runner.run(ControllerSettings(generation=1, session=patient, inventory_interval=ONCE), around)
    kept = found[WARM_UP:]
    for figures in zip(*kept, strict=True):
        print(*(f"{figure:.6f}" for figure in figures))


def _trace(store: Store, found: list[Measured], case: Case) -> None:
    try:
        found.extend(_traced(store, case.traffic) for _ in range(WARM_UP + case.repetitions))
    except SystemExit as failed:
        print(failed, file=sys.stderr)
    finally:
        os.kill(os.getpid(), signal.SIGINT)


def _traced(store: Store, text: str) -> Measured:
    """One task: seconds from added to armed, processor seconds meanwhile, and how many VFDs carry flows of it."""
    request = trace_request(text, packet_count=1, trace_time=60, vni=None, source_vm="vm0", destination_vm=None)
    began = time.process_time()
    task = store.add_task(request, time.time())
    armed = _await(store, task, lambda state: state is TaskState.ARMED or state.final)
    spent = time.process_time() - began
    if armed.armed_at is None or armed.state is not TaskState.ARMED:
        raise SystemExit(f"task {task.id} is {armed.state.value}: {armed.reason}")
    carrying = {intent.target for intent in store.open_intents()}
    store.request_cancel(task.id)
    _await(store, task, lambda state: state.final)
    return armed.armed_at - armed.created_at, spent, len(carrying)


def _await(store: Store, task: Task, condition: Callable[[TaskState], bool]) -> Task:
    deadline = time.monotonic() + DEADLINE
    while (found := store.task(task.id)) is None or not condition(found.state):
        if time.monotonic() > deadline:
            raise SystemExit("the controller did not do what it was asked to")
        time.sleep(LOOK)
    return found


def topology(place: Path, number: int) -> Topology:
    """A VM and a tunnel port on each switch."""
    nodes = tuple(Node(f"s{at}", "", (IPv4Address(vtep(at)),)) for at in range(number))
    bridges = tuple(
        Bridge(
            BridgeId(node.name, "br"),
            at + 1,
            BridgeRole.VSWITCH,
            (
                Port(1, f"vm{at}", PortKind.EDGE, vm=f"vm{at}", addresses=(IPv4Address(address(at)),), vni=VNI),
                Port(2, "vx", PortKind.TUNNEL),
            ),
            ManagementSocket(str(place / node.name / "br.mgmt")),
        )
        for at, node in enumerate(nodes)
    )
    return Topology(nodes, bridges)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(CASES[int(sys.argv[1])])
    else:
        main()
