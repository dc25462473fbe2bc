"""What others do to the switches while a trace runs: it is noticed, said, and leaves nothing behind."""

import json
import re
import signal
from collections.abc import Callable

import pytest
from tos_traffic import sending_tos
from vtrace_program import DEADLINE, NEVER_SENT, UDP, Vtrace, await_that, our_flows, sending

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab

OUR_COOKIES = "cookie=0x5654000000000000/0xffff000000000000"
WIPED = ("cs3", "br-int")
INVALIDATED = "somebody removed "
CHANGED = "somebody changed flows of ours while "
MARK_FLOWS = "cookie=0x5654000100000000/0xffff00ff00000000,table=0"
THEIRS = 0x22
ON = "actions=load:1->reg15[0],resubmit(,0)"
MARKS_ASTRAY = 700
"""Of 1,000 a second. A dozen come to the VM on an idle machine; until the next look it would be 1,500 or more."""


def wipe(lab: Lab, server: str, bridge: str) -> None:
    """What a controller does that deletes all flows it does not know."""
    ovs = lab.ovs(server)
    ovs.ofctl("del-flows", str(ovs.management_socket(bridge)), OUR_COOKIES)


def write_over(lab: Lab, server: str, bridge: str) -> None:
    """Put flows of production's in the place of those that take marks off; packets go on as they came."""
    ovs = lab.ovs(server)
    socket = str(ovs.management_socket(bridge))
    shown = ovs.ofctl("--no-stats", "dump-flows", socket, MARK_FLOWS)
    keys = [re.sub(r"^ *cookie=[^ ]* |hard_timeout=\d+,? ?| actions=.*$", "", line) for line in shown.splitlines()[1:]]
    assert keys
    ovs.ofctl("add-flows", socket, "-", stdin="".join(f"cookie={THEIRS},{key},{ON}\n" for key in keys))


def take_back(lab: Lab, server: str, bridge: str) -> None:
    """What production put there is production's to remove."""
    ovs = lab.ovs(server)
    ovs.ofctl("del-flows", str(ovs.management_socket(bridge)), f"cookie={THEIRS}/-1")


def modify(lab: Lab, server: str, bridge: str) -> None:
    """Give the same flows other actions where they are."""
    ovs = lab.ovs(server)
    ovs.ofctl("mod-flows", str(ovs.management_socket(bridge)), f"{MARK_FLOWS},{ON}")


@pytest.mark.usefixtures("unchanged")
def test_a_controller_that_clears_tables_invalidates_the_trace_and_nothing_is_called_lost(
    lab: Lab, program: Vtrace
) -> None:
    with program.started("run", UDP, "--from", "blue-web1", "-n", "500", "-t", "60", "-o", "json") as process:
        await_that(lambda: program.state() == "armed")
        with sending_tos(lab, 0, rate=1000):
            wipe(lab, *WIPED)
            out, error = process.communicate(timeout=DEADLINE)
    document = json.loads(out)
    assert document["task"]["state"] == "invalidated", error
    assert document["task"]["reason"].startswith(f"{'/'.join(WIPED)}: {INVALIDATED}")
    assert document["task"]["reason"] in document["notes"]
    fates = {group["verdict"]["disposition"] for group in document["groups"]}
    assert fates <= {"INCONCLUSIVE", "DELIVERED"}
    assert our_flows(lab) == 0
    assert program.open_intents() == 0


@pytest.mark.parametrize(
    ("done", "said"),
    [(wipe, INVALIDATED), (write_over, "somebody changed flows of ours (with cookie 0x22) "), (modify, CHANGED)],
)
@pytest.mark.usefixtures("unchanged")
def test_marks_that_nobody_takes_off_any_more_end_at_once_and_not_with_the_next_look(
    lab: Lab, program: Vtrace, done: Callable[[Lab, str, str], None], said: str
) -> None:
    """Counting colors every packet for as long as it lasts. A look is due two seconds after arming."""
    with (
        program.started("stats", UDP, "--from", "blue-web1", "-t", "60", "-o", "json") as process,
        sending_tos(lab, 0, rate=1000, everywhere=True) as traffic,
    ):
        await_that(lambda: program.state() == "armed")
        done(lab, *WIPED)
        out, error = process.communicate(timeout=DEADLINE)
    take_back(lab, *WIPED)
    assert any(said in note for note in json.loads(out)["notes"]), error
    assert traffic.marks
    astray = sum(packets for tos, packets in traffic.received.items() if tos)
    assert astray < MARKS_ASTRAY, "coloring went on after the bridge had told that nobody takes marks off"
    assert our_flows(lab) == 0


@pytest.mark.usefixtures("unchanged")
def test_silence_after_a_wipe_at_the_source_is_not_taken_for_no_traffic(lab: Lab, program: Vtrace) -> None:
    with program.started("run", NEVER_SENT, "--from", "blue-web1", "-t", "60", "-o", "json") as process:
        await_that(lambda: program.state() == "armed")
        wipe(lab, "cs1", "br-int")
        out, error = process.communicate(timeout=DEADLINE)
    document = json.loads(out)
    assert document["task"]["state"] == "invalidated", error
    assert document["verdict"]["code"] != "not-sent"


@pytest.mark.usefixtures("unchanged")
def test_a_database_server_that_restarts_during_a_trace_does_not_matter(lab: Lab, program: Vtrace) -> None:
    ovs = lab.ovs("cs3")
    with program.started("run", UDP, "--from", "blue-web1", "-n", "20", "-t", "20", "-o", "json") as process:
        await_that(lambda: program.state() == "armed")
        ovs.kill("ovsdb-server")
        ovs.daemon("ovsdb-server", str(ovs.directory / "conf.db"), f"--remote=punix:{ovs.directory / 'db.sock'}")
        ovs.vsctl("--timeout=10", "show")
        with sending(lab):
            out, error = process.communicate(timeout=DEADLINE)
    document = json.loads(out)
    assert (document["task"]["state"], document["verdict"]["disposition"]) == ("done", "DELIVERED"), error
    assert our_flows(lab) == 0


@pytest.mark.usefixtures("unchanged")
def test_a_switch_that_restarts_hands_no_vm_a_mark(lab: Lab, program: Vtrace) -> None:
    """Until it takes marks off again, nobody may send it any, also of traffic that is too fast for copies of it."""
    with (
        sending_tos(lab, 0, rate=1000, everywhere=True) as traffic,
        program.started("run", UDP, "--from", "blue-web1", "-n", "500", "-t", "20") as process,
    ):
        await_that(lambda: program.state() == "armed")
        with lab.faults.injected(Fault(FaultName.VSWITCHD_DEAD, server="cs3")):
            pass
        process.communicate(timeout=DEADLINE)
    assert traffic.marks
    assert set(traffic.received) == {0}
    assert not traffic.astray


@pytest.mark.usefixtures("unchanged")
def test_copies_that_open_vswitch_drops_in_a_full_queue_are_told_and_nothing_is_called_lost(
    lab: Lab, program: Vtrace
) -> None:
    """N3, trap T40: a controller that does not read for a while is sent more than its queue holds."""
    run = ("run", UDP, "--from", "blue-web1", "-n", "500", "-t", "20", "-o", "json")
    with program.started(*run) as process:
        await_that(lambda: program.state() == "armed")
        process.send_signal(signal.SIGSTOP)
        before = overflows(lab)
        with sending_tos(lab, 0, rate=1000):
            await_that(lambda: overflows(lab) > before)
        process.send_signal(signal.SIGCONT)
        out, error = process.communicate(timeout=DEADLINE)
    document = json.loads(out)
    told = [int(note.split()[0]) for note in document["notes"] if "were dropped in full queues" in note]
    assert told == [overflows(lab) - before], (document["notes"], error)
    fates = {(group["verdict"]["disposition"], group["verdict"]["code"]) for group in document["groups"]}
    assert fates <= {("DELIVERED", "none"), ("INCONCLUSIVE", "evidence-lost")}


def overflows(lab: Lab) -> int:
    """Messages that all servers' Open vSwitch had no room for in their queues so far."""
    return sum(int(lab.ovs(server).appctl("coverage/read-counter", "rconn_overflow")) for server in lab.servers)
