"""Turns a directory into one server with two VFDs, reached over tcp: OVSDB, and a ``vtrace`` in a process of its own.

vm1 ── sw1 ══ sw2 ── vm2          ══ a patch cable; 10.0.0.9 is dropped by sw2
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import Intent, Task, TaskState
from vtrace_ovs.ovsdb.fingerprint import Fingerprint, fingerprint
from vtrace_ovs.storage.store import Store

DEADLINE = 60.0
BRIDGES = ("sw1", "sw2")
LISTEN = ("--listen", "tcp:127.0.0.1:0")
PRODUCTION = {
    "sw1": "table=0,priority=10,ip actions=resubmit(,5)\ntable=5,priority=7,ip,nw_dst=10.0.0.0/24 actions=output:2",
    "sw2": "priority=10,ip,nw_dst=10.0.0.9 actions=drop\npriority=5,ip,in_port=2 actions=output:1",
}
_pause = threading.Event()


def listening_port(ovs: OvsInstance, server: str) -> str:
    """The port an ovsdb-server told to take any (``:0``) took. Reopening the log flushes it."""
    ovs.run("ovs-appctl", "-t", str(ovs.directory / f"{server}.ctl"), "vlog/reopen")
    *_, last = re.finditer(r"listening on port (\d+)", (ovs.directory / f"{server}.log").read_text())
    return last[1]


def rows(ovs: OvsInstance) -> list[str]:
    """Type and mode of every Controller row."""
    return ovs.vsctl("--bare", "--columns=type,connection_mode", "--format=csv", "list", "controller").split()


@dataclass(slots=True)
class Overlay:
    """The server, how its OVSDB is reached, and where the ``vtrace`` under test keeps its files.

    ``ports`` is the type of the VMs' ports: what ``dummy-pmd`` ones receive is forwarded by a thread of its own.
    """

    directory: Path
    remote: str = ""
    production: Mapping[str, str] = field(default_factory=lambda: PRODUCTION)
    ports: str = "dummy"

    @contextmanager
    def up(self) -> Iterator[OvsInstance]:
        """Its Open vSwitch, running while the block runs."""
        ovs = OvsInstance(self.directory / "ovs", dummy=True, remotes=("ptcp:0:127.0.0.1",))
        ovs.start()
        try:
            self._build(ovs)
            yield ovs
        finally:
            ovs.stop()

    def _build(self, ovs: OvsInstance) -> None:
        self.remote = f"tcp:127.0.0.1:{listening_port(ovs, 'ovsdb-server')}"
        for name, vm, peer in (("sw1", "vm1", "sw2"), ("sw2", "vm2", "sw1")):
            ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure")
            ids = (f"external_ids:iface-id={vm}", f"external_ids:ip=10.0.0.{vm[-1]}")
            ovs.vsctl(
                "add-port", name, vm, "--", "set", "interface", vm, f"type={self.ports}", "ofport_request=1", *ids
            )
            patch = ("type=patch", f"options:peer=to-{name}", "ofport_request=2")
            ovs.vsctl("add-port", name, f"to-{peer}", "--", "set", "interface", f"to-{peer}", *patch)
            ovs.ofctl("add-flows", name, "-", stdin=self.production[name])

    def fingerprints(self) -> tuple[Fingerprint, ...]:
        return tuple(fingerprint(self.directory / "ovs", name, DEADLINE) for name in BRIDGES)

    @property
    def environment(self) -> dict[str, str]:
        places = {
            "VTRACE_OVSDB": self.remote,
            "VTRACE_DATABASE": str(self.directory / "vtrace.db"),
            "VTRACE_RUNDIR": str(self.directory / "run"),
            "VTRACE_LISTEN": "",
        }
        return {**os.environ, **places, "NO_COLOR": "1"}

    def vtrace(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        command = [sys.executable, "-m", "vtrace_ovs", *arguments]
        environment = {**self.environment, **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    @contextmanager
    def background(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """One command, running while the block runs; killed if it outlives it."""
        command = [sys.executable, "-m", "vtrace_ovs", *arguments]
        environment: Mapping[str, str] = {**self.environment, **variables}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.communicate()

    def wait_for(self, state: TaskState, process: subprocess.Popen[str], task_id: int = 1) -> None:
        """Until a task is in this state, as the database says; fails when the process ends before."""
        deadline = time.monotonic() + DEADLINE
        while self.state(task_id) is not state:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"{self.task(task_id)} after {DEADLINE} s"
            _pause.wait(0.02)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, "it does not come about"
            _pause.wait(0.02)

    def state(self, task_id: int) -> TaskState | None:
        task = self.task(task_id)
        return None if task is None else task.state

    def task(self, task_id: int) -> Task | None:
        if not (self.directory / "vtrace.db").exists():
            return None
        with Store.open(str(self.directory / "vtrace.db")) as store:
            return store.task(task_id)

    def open_intents(self) -> tuple[Intent, ...]:
        with Store.open(str(self.directory / "vtrace.db")) as store:
            return store.open_intents()

    def send(self, ovs: OvsInstance, destination: str, packets: int, vlan: int | None = None) -> None:
        """UDP packets from vm1, told apart by their IP id; in frames tagged with this VLAN, if any."""
        for number in range(1, packets + 1):
            ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            link = ethernet if vlan is None else ethernet / Dot1Q(vlan=vlan)
            packet = IP(src="10.0.0.1", dst=destination, id=number) / UDP(sport=4000, dport=53)
            frame = link / packet / f"packet {number}".encode()
            ovs.appctl("netdev-dummy/receive", "vm1", bytes(frame).hex())


def disposition(process: subprocess.Popen[str]) -> str:
    """What the result on stdout says became of the traffic."""
    out, err = process.communicate(timeout=DEADLINE)
    assert out, err
    found: str = json.loads(out)["verdict"]["disposition"]
    return found
