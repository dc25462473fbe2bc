"""The control socket of a real ovs-vswitchd answers in order; who does not answer is said so in one line, in time."""

import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.ovsdb.ofproto_trace import ofproto_trace
from vtrace_ovs.ovsdb.unixctl import control_socket

TIMEOUT = 60.0
SHORT = 0.1
MANY = 500


def test_many_commands_in_one_go_are_answered_in_their_order(ovs: OvsInstance) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    with control_socket(ovs.directory, TIMEOUT) as control:
        answers = control.run(*(("ofproto/trace", "br0", f"in_port={port}") for port in range(1, MANY)))
        assert [answer.split("\n")[0] for answer in answers] == [
            f"Flow: in_port={port},vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,dl_type=0x0000"
            for port in range(1, MANY)
        ]


def test_a_refusal_is_one_line_and_the_next_command_is_answered(ovs: OvsInstance) -> None:
    with control_socket(ovs.directory, TIMEOUT) as control:
        with pytest.raises(InfrastructureError, match=r"ctl: ovs-vswitchd refuses fdb/show br9: no such bridge$"):
            control.run(("fdb/show", "br9"))
        assert control.run(("version",))[0].startswith("ovs-vswitchd (Open vSwitch)")


def test_what_is_refused_is_none_among_the_other_answers(ovs: OvsInstance) -> None:
    with control_socket(ovs.directory, TIMEOUT) as control:
        first, refused, last = control.try_each(("version",), ("fdb/show", "br9"), ("version",))
    assert (first, refused) == (last, None)
    assert first is not None


def test_the_socket_of_the_running_daemon_is_asked_and_another_after_a_restart(tmp_path: Path) -> None:
    def asked(pid: int, *listening: int) -> str:
        (tmp_path / "ovs-vswitchd.pid").write_text(f"{pid}\n")
        with ExitStack() as sockets:
            for number in listening:
                path = tmp_path / f"ovs-vswitchd.{number}.ctl"
                path.unlink(missing_ok=True)  # one that was killed leaves its own behind
                sock = sockets.enter_context(socket.socket(socket.AF_UNIX))
                sock.bind(str(path))
                sock.listen()
            with control_socket(tmp_path, TIMEOUT) as control:
                return control.path.name

    assert asked(8, 7, 8) == asked(8, 8) == "ovs-vswitchd.8.ctl"
    assert asked(9, 9) == "ovs-vswitchd.9.ctl", "and what 8 left behind is there still"
    assert asked(10, 9) == "ovs-vswitchd.9.ctl", "a pidfile that names nobody"


def test_a_daemon_that_hangs_is_given_up_in_time(ovs: OvsInstance) -> None:
    pid = ovs.pids["ovs-vswitchd"]
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(InfrastructureError, match=r"no answer to ofproto/trace .*0\.1 s: it is busy or hangs$"):
            ofproto_trace(ovs.directory, "br0", "in_port=1", SHORT)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - began < TIMEOUT


def test_a_daemon_that_died_is_not_waited_for(ovs: OvsInstance) -> None:
    with control_socket(ovs.directory, TIMEOUT) as control:
        ovs.kill("ovs-vswitchd")
        with pytest.raises(InfrastructureError, match=r"ovs-vswitchd (hung up|does not)"):
            control.run(("version",))
    with pytest.raises(InfrastructureError, match=f"no control socket of ovs-vswitchd answers in {ovs.directory}"):
        control_socket(ovs.directory, TIMEOUT)
