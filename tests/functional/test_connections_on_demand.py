"""Bridges have a connection of ours while a task needs them, and no longer: their sockets and rows tell.

sw3 is a third VFD that no traffic of vm1 may come to.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from remote_overlay import BRIDGES, LISTEN, Overlay

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import TaskState

ALL = (*BRIDGES, "sw3")
CONNECTED = "03"
ADD = ("add", "udp,nw_src=10.0.0.1,tp_dst=53", "-n", "3", "-t", "120")


@pytest.fixture
def ovs(overlay: Overlay) -> Iterator[OvsInstance]:
    with overlay.up() as instance:
        instance.vsctl("add-br", "sw3", "--", "set", "bridge", "sw3", "datapath_type=dummy", "fail_mode=secure")
        ids = ("external_ids:iface-id=vm3", "external_ids:ip=10.0.0.3")
        instance.vsctl("add-port", "sw3", "vm3", "--", "set", "interface", "vm3", "type=dummy", *ids)
        yield instance


def conversations(ovs: OvsInstance) -> dict[str, int]:
    """How many connections each bridge has accepted on its management socket (proc(5), /proc/net/unix)."""
    rows = (line.split() for line in Path("/proc/net/unix").read_text(encoding="ascii").splitlines()[1:])
    accepted = Counter(row[7] for row in rows if len(row) > 7 and row[5] == CONNECTED)
    return {name: accepted[str(ovs.management_socket(name))] for name in ALL}


def rows(ovs: OvsInstance) -> dict[str, int]:
    """How many Controller rows each bridge has."""
    return {name: len(ovs.vsctl("get-controller", name).split()) for name in ALL}


@pytest.mark.parametrize(("count", "remote"), [(conversations, False), (rows, True)], ids=["local", "remote"])
def test_only_bridges_in_scope_are_connected_while_a_task_runs_and_none_after(
    overlay: Overlay, ovs: OvsInstance, count: Callable[[OvsInstance], dict[str, int]], *, remote: bool
) -> None:
    variables = {} if remote else {"VTRACE_OVSDB": ovs.ovsdb}
    with overlay.background("controller", *LISTEN, **variables) as process:
        overlay.wait_until((overlay.directory / "run" / "controller.lock").exists)
        assert not any(count(ovs).values())
        assert overlay.vtrace(*ADD, **variables).stdout == "1\n"
        overlay.wait_for(TaskState.ARMED, process)
        overlay.wait_until(lambda: count(ovs) == {"sw1": 1, "sw2": 1, "sw3": 0})
        assert overlay.state(1) is TaskState.ARMED
        overlay.send(ovs, "10.0.0.2", 3)
        overlay.wait_for(TaskState.DONE, process)
        overlay.wait_until(lambda: not any(count(ovs).values()))
        assert process.poll() is None
