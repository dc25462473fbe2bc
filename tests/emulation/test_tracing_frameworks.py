"""Ryu and os-ken carry the same controller: same verdicts, same exit codes, and an end at SIGTERM."""

import json
import subprocess
from pathlib import Path

import pytest
from vtrace_program import DEADLINE, TCP, UDP, Json, Vtrace, await_that, our_flows, sending

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol

FRAMEWORKS = ("ryu", "os-ken")
SCOPE = ("--from", "blue-web1", "-n", "5", "-t", "10")
OBSERVER = """
from pathlib import Path

from {package}.base.app_manager import {base}
from {package}.controller import ofp_event
from {package}.controller.handler import CONFIG_DISPATCHER, set_ev_cls

HERE = Path(__file__)


class Observer({base}):
    def start(self):
        super().start()
        HERE.with_name("started").touch()

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def features(self, event):
        HERE.with_name("seen").touch()

    @set_ev_cls(ofp_event.EventOFPPacketIn)
    def packet_in(self, event):
        HERE.with_name("seen").touch()
"""

pytestmark = [pytest.mark.usefixtures("unchanged"), pytest.mark.parametrize("framework", FRAMEWORKS)]


def essence(text: str) -> Json:
    """What two traces of the same traffic must agree in."""
    result = json.loads(text)
    verdict = result["verdict"]
    (group,) = result["groups"]
    return {
        **{key: verdict[key] for key in ("disposition", "code", "confidence", "remedy")},
        "culprit": verdict["culprit"] and (verdict["culprit"]["bridge"], verdict["culprit"]["table_id"]),
        "path": [(hop["bridge"], hop["in_port"], hop["out_port"]) for hop in group["path"]["hops"]],
    }


def test_a_run_says_delivered_and_exits_with_0(lab: Lab, program: Vtrace, framework: str) -> None:
    with sending(lab):
        done = program("run", UDP, *SCOPE, "-o", "json", "--framework", framework)
    assert (done.returncode, done.stderr) == (0, "")
    found = essence(done.stdout)
    assert (found["disposition"], found["confidence"], found["culprit"]) == ("DELIVERED", "observed", None)
    assert [bridge for bridge, _, _ in found["path"]] == [
        "cs1/br-int",
        "gw1/br-int",
        "gw1/vr-blue",
        "gw1/br-int",
        "cs3/br-int",
    ]


def test_a_run_names_the_fault_and_exits_with_1(lab: Lab, program: Vtrace, framework: str) -> None:
    with lab.faults.injected(Fault(FaultName.SECURITY_DENY)), sending(lab, protocol=TrafficProtocol.TCP, port=443):
        done = program("run", TCP, *SCOPE, "-o", "json", "--framework", framework)
    assert (done.returncode, done.stderr) == (1, "")
    found = essence(done.stdout)
    assert (found["disposition"], found["code"]) == ("DROPPED", "security-rule-deny")
    assert found["culprit"] == ("cs3/br-int", 40)


def test_a_controller_serves_the_database_beside_another_app_that_sees_nothing_of_it(
    lab: Lab, program: Vtrace, framework: str, tmp_path: Path
) -> None:
    apps = tmp_path / "apps"
    apps.mkdir()
    base = "RyuApp" if framework == "ryu" else "OSKenApp"
    (apps / "observer.py").write_text(OBSERVER.format(package=framework.replace("-", "_"), base=base))
    arguments = ("--framework", framework, "--app", "observer")
    with sending(lab), program.controller(*arguments, PYTHONPATH=path_with(program, apps)) as controller:
        added = program("add", UDP, *SCOPE)
        assert (added.returncode, added.stdout) == (0, "1\n")
        assert "vtrace watch 1" in added.stderr
        watched = program("watch", "1", "--wait", "25")
        assert watched.returncode == 0, watched
        assert "DELIVERED" in watched.stdout
        result = program("result", "1", "-o", "json")
        assert result.returncode == 0
        assert json.loads(result.stdout)["verdict"]["disposition"] == "DELIVERED"
        assert controller.poll() is None
    assert controller.returncode == 0
    assert (apps / "started").exists()
    assert not (apps / "seen").exists()


def test_a_controller_ends_at_sigterm_and_does_not_wait_for_a_trace_to_end(
    lab: Lab, program: Vtrace, framework: str
) -> None:
    with program.controller("--framework", framework) as controller:
        task = program.add(UDP, 5, int(10 * DEADLINE), source_vm="blue-web1")
        await_that(lambda: program.state(task) == "armed")
        controller.terminate()
        code, error = ended(controller)
    assert (code, error) == (0, "")
    assert our_flows(lab) == 0
    assert program.state(task) == "cancelled"


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, error = process.communicate(timeout=DEADLINE)
    return process.returncode, error


def path_with(program: Vtrace, place: Path) -> str:
    known = program.environment.get("PYTHONPATH")
    return f"{place}:{known}" if known else str(place)
