"""Packets counted by color on the real lab: nothing lost is nothing told, and what is lost has a place and a time."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw
from vtrace_program import (
    UDP,
    FrameSender,
    Vtrace,
    await_that,
    captured,
    differences,
    fingerprints,
    our_flows,
    repeating,
    sending,
)

from vtrace_ovs.cli.running import clean_bridges
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.codecs.datapath_flows import DatapathFlow, datapath_flows
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.verdict import CauseCode

RATE = 300
FAST = 1500.0
EVERY = 1000
EXPEDITED = 46
TOS, RECEIVER, RECEIVED = 15, slice(30, 34), bytes((10, 0, 2, 22))
"""Where they are in a frame, and what the receiver is in that of blue-db2."""
ASKED = ("--from", "blue-web1", "-o", "json")
COUNT = ("stats", UDP, *ASKED)
PAIR = {"src": "10.0.1.11", "dst": "10.0.2.22"}
ANYTHING = f"ip,nw_src={PAIR['src']},nw_dst={PAIR['dst']}"
LEAVING_CS1 = "ip,nw_src=172.31.0.11,nw_dst=172.31.0.21"
ON_THE_WAY = {"cs1/br-int": 1, "gw1/br-int": 2, "gw1/vr-blue": 1, "cs3/br-int": 1}
"""How often a packet comes into each VFD: the gateway's tunnel bridge has it before and after the router."""

Json = dict[str, Any]


class Underlay:
    """The underlay switch of cs1, told what to do with packets that leave it for the gateway."""

    def __init__(self, lab: Lab) -> None:
        self._ovs = lab.ovs("pfd1")
        self._bridge = f"unix:{self._ovs.management_socket('pfd1')}"

    def _ofctl(self, *command: str) -> str:
        name, *arguments = command
        strict = ("--strict",) if name == "del-flows" else ()
        return self._ovs.run("ovs-ofctl", "-O", "OpenFlow13", *strict, name, self._bridge, *arguments)

    def came(self) -> int:
        """How many such packets came to this switch since it is watched."""
        return int(re.findall(r"n_packets=(\d+)", self._ofctl("dump-flows", LEAVING_CS1))[0])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """With a flow that lets them pass."""
        self._ofctl("add-flow", f"priority=900,{LEAVING_CS1},actions=NORMAL")
        try:
            yield
        finally:
            self._ofctl("del-flows", f"priority=900,{LEAVING_CS1}")

    def lose(self, at_least: int, rate: int) -> int:
        """Let only so many a second pass until some are lost; how many that were."""
        self._ofctl("add-meter", f"meter=1,pktps,burst,stats,band=type=drop,rate={rate},burst_size={rate // 10}")
        self._ofctl("add-flow", f"priority=900,{LEAVING_CS1},actions=meter:1,NORMAL")
        await_that(lambda: self._dropped() >= at_least, self._dropped)
        self._ofctl("add-flow", f"priority=900,{LEAVING_CS1},actions=NORMAL")
        self._ovs.appctl("revalidator/wait")
        lost = self._dropped()
        self._ofctl("del-meter", "meter=1")
        return lost

    def _dropped(self) -> int:
        return int(re.findall(r"0: packet_count:(\d+)", self._ofctl("meter-stats", "meter=1"))[0])


class WornCable:
    """The cable between the underlay switches; it may lose every thousandth packet that cs1 sends to the gateway."""

    def __init__(self, lab: Lab) -> None:
        self._switch = lab.switches["pfd1"].namespace

    @contextmanager
    def watched(self) -> Iterator[None]:
        """With a hook where the kernel sends what the switch has put out."""
        hook = "type filter hook egress device pfd2 priority 0"
        self._switch.run("nft", f"table netdev worn {{\ncounter lost {{\n}}\nchain out {{\n{hook}\n}}\n}}")
        try:
            yield
        finally:
            self._switch.run("nft", "delete", "table", "netdev", "worn")

    def lose(self, at_least: int) -> int:
        """Wear it until so many are lost; how many that were in the end.

        They are sent astray: a packet that is dropped here counts as not sent, and Open vSwitch sends it again, or
        gives up those it was to send with it.
        """
        tunnel = "ip saddr 172.31.0.11 ip daddr 172.31.0.21 udp dport 4789"
        lost = f"numgen inc mod {EVERY} == {EVERY - 1} counter name lost fwd to lo"
        self._switch.run("nft", f"add rule netdev worn out {tunnel} {lost}")
        await_that(lambda: self._lost() >= at_least, self._lost)
        self._switch.run("nft", "flush chain netdev worn out")
        return self._lost()

    def _lost(self) -> int:
        told = self._switch.run("nft", "list", "counter", "netdev", "worn", "lost")
        return int(re.findall(r"packets (\d+)", told)[0])


def drop_a_color(ovs: OvsInstance) -> None:
    """Change the datapath flow of packets that came with a mark, behind the back of the flow tables."""

    def marked() -> list[DatapathFlow]:
        found = datapath_flows(ovs.appctl("dpctl/dump-flows", "-m", "--no-names"))
        return [flow for flow in found if flow.tunnelled and re.search(r"proto=17,tos=0x", flow.key)]

    await_that(lambda: bool(marked()), marked)
    ovs.appctl("dpctl/mod-flow", marked()[0].key, "drop")


@contextmanager
def counting(
    lab: Lab, program: Vtrace, seconds: int, rate: float = RATE, traffic: str = UDP
) -> Iterator[tuple[Underlay, Json]]:
    """Counts beside the block, which begins when a second's packets were; what is told is there after it.

    The first packets only begin: no interval has them.
    """
    told: Json = {}
    underlay = Underlay(lab)
    with underlay.watched(), program.started("stats", traffic, *ASKED, "-t", str(seconds)) as process:
        await_that(lambda: program.state() == "armed", program.state)
        before = underlay.came()
        await_that(lambda: underlay.came() > before + rate, underlay.came)
        yield underlay, told
        output, errors = process.communicate()
        assert output, errors
        told.update(json.loads(output), code=process.returncode)


@pytest.mark.usefixtures("unchanged")
def test_without_loss_each_interval_counts_as_many_at_every_vfd_and_no_packet_is_copied(
    lab: Lab, program: Vtrace
) -> None:
    with sending(lab, rate=RATE), counting(lab, program, 5) as (_, told):
        assert our_flows(lab)
        copying = [
            line
            for server in ("cs1", "cs3", "gw1")
            for line in lab.ovs(server).appctl("dpctl/dump-flows").splitlines()
            if "userspace(" in line and "controller(" in line
        ]
    assert copying == []
    assert (told["code"], told["verdict"]["disposition"], told["lost"]) == (0, "DELIVERED", 0), told["verdict"]
    assert len(told["intervals"]) >= 3
    for interval in told["intervals"]:
        assert interval["unknown"] is None
        came = {vfd["bridge"]: vfd["in"] for vfd in interval["vfds"]}
        assert came == {bridge: times * interval["packets"] for bridge, times in ON_THE_WAY.items()}
    assert told["packets"] == sum(interval["packets"] for interval in told["intervals"]) > 3 * RATE
    shown = program("result")
    assert shown.returncode == 0
    assert f"None of {told['packets']} packets was lost" in shown.stdout


@pytest.mark.usefixtures("unchanged")
def test_packets_that_no_mark_can_be_written_into_are_not_called_lost(lab: Lab, program: Vtrace) -> None:
    shapes = (IP(**PAIR, proto=0) / Raw(b"x" * 24), IP(**PAIR) / ICMP(id=7))
    with (
        sending(lab, rate=RATE),
        FrameSender(lab, "blue-web1") as own,
        repeating(lambda number: own.send(shapes[number % len(shapes)]), 0.02),
        counting(lab, program, 4, traffic=ANYTHING) as (_, told),
    ):
        pass
    assert (told["lost"], told["places"], told["verdict"]["disposition"]) == (0, [], "INCONCLUSIVE"), told["verdict"]
    assert told["packets"] > RATE
    for interval in told["intervals"]:
        (source,) = (vfd for vfd in interval["vfds"] if vfd["bridge"] == "cs1/br-int")
        (last,) = (vfd for vfd in interval["vfds"] if vfd["bridge"] == "cs3/br-int")
        assert source["in"] == source["tunnel"] + source["ended"]
        assert last["in"] == source["tunnel"]
    assert "of IP protocol 0 left cs1/br-int for another server" in told["verdict"]["operator_sentence"]


@pytest.mark.usefixtures("unchanged")
def test_a_moment_of_loss_in_the_underlay_has_its_segment_its_packets_and_its_time(lab: Lab, program: Vtrace) -> None:
    with sending(lab, rate=RATE), counting(lab, program, 9) as (underlay, told):
        since = time()
        lost = underlay.lose(5, rate=RATE - 20)
        until = time()
    assert told["code"] == 1
    assert (told["verdict"]["code"], told["lost"]) == (CauseCode.UNDERLAY_LOSS.value, lost), told["verdict"]
    culprit = told["verdict"]["culprit"]
    assert (culprit["bridge"], culprit["next_node"], culprit["next_bridge"]) == ("cs1/br-int", "gw1", "gw1/br-int")
    assert "UTC: lost between cs1/br-int and gw1/br-int." in told["verdict"]["operator_sentence"]
    for interval in told["intervals"]:
        assert interval["unknown"] is None
        overlaps = interval["began_at"] <= until and interval["ended_at"] >= since - 0.1
        assert overlaps or not interval["losses"], (interval, since, until)
    assert any(not interval["losses"] for interval in told["intervals"])


@pytest.mark.usefixtures("unchanged")
def test_datapaths_that_drop_what_their_tables_send_on_are_named_and_not_the_underlay(
    lab: Lab, program: Vtrace
) -> None:
    """At cs3 it is the flow of the tunnel's packets; at the gateway that of the packets inside, of one color."""
    around = Fault(FaultName.STALE_MEGAFLOW, vm="blue-db2", server="cs3")
    with sending(lab, rate=RATE), lab.faults.injected(around), counting(lab, program, 5) as (_, told):
        drop_a_color(lab.ovs("gw1"))
    lab.ovs("gw1").appctl("revalidator/purge")
    assert (told["code"], told["lost"]) == (1, told["packets"])
    places = {(place["verdict"]["code"], place["verdict"]["culprit"]["bridge"]) for place in told["places"]}
    assert places == {(CauseCode.STALE_MEGAFLOW.value, bridge) for bridge in ("cs3/br-int", "gw1/br-int")}, told


@pytest.mark.usefixtures("unchanged")
def test_a_cable_that_loses_one_packet_of_a_thousand_is_named_with_every_one_of_them(lab: Lab, program: Vtrace) -> None:
    cable = WornCable(lab)
    with sending(lab, rate=FAST), cable.watched(), counting(lab, program, 7, FAST) as (_, told):
        lost = cable.lose(3)
    assert (told["code"], told["lost"]) == (1, lost), told["verdict"]
    (place,) = told["places"]
    assert place["verdict"]["code"] == CauseCode.UNDERLAY_LOSS.value
    culprit = place["verdict"]["culprit"]
    assert (culprit["bridge"], culprit["next_bridge"]) == ("cs1/br-int", "gw1/br-int")
    for interval in told["intervals"]:
        assert interval["unknown"] is None
        assert sum(loss["packets"] for loss in interval["losses"]) <= interval["packets"] // EVERY + 1
    assert any(not interval["losses"] for interval in told["intervals"])


@pytest.mark.usefixtures("unchanged")
def test_what_a_meter_of_a_vswitch_drops_is_lost_in_that_vswitch(lab: Lab, program: Vtrace) -> None:
    burst = TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, rate=20000, count=400, listen=False)
    limit = Fault(FaultName.RATE_LIMIT, vm="blue-web1", rate=500)
    with lab.faults.injected(limit), sending(lab, rate=RATE), counting(lab, program, 7) as (_, told):
        number = lab.traffic.start(burst)
        await_that(lambda: not lab.traffic.running(number).running)
        lab.traffic.stop(number)
    assert told["code"] == 1
    places = {(place["verdict"]["code"], place["verdict"]["culprit"]["bridge"]) for place in told["places"]}
    assert places == {(CauseCode.METER_RATE_LIMIT.value, "cs1/br-int")}, told["verdict"]
    for interval in told["intervals"]:
        (source,) = (vfd for vfd in interval["vfds"] if vfd["bridge"] == "cs1/br-int")
        assert sum(loss["packets"] for loss in interval["losses"]) == source["in"] - source["tunnel"]
        (last,) = (vfd for vfd in interval["vfds"] if vfd["bridge"] == "cs3/br-int")
        assert (last["in"], last["ended"]) == (source["tunnel"], source["tunnel"])


@pytest.mark.usefixtures("unchanged")
def test_interrupted_it_tells_what_it_has_counted_so_far_whatever_the_dscp(lab: Lab, program: Vtrace) -> None:
    underlay = Underlay(lab)
    with (
        sending(lab, rate=RATE, dscp=EXPEDITED),
        captured(lab, "blue-db2") as frames,
        underlay.watched(),
        program.started(*COUNT, "-t", "600") as process,
    ):
        await_that(lambda: program.state() == "armed", program.state)
        before = underlay.came()
        await_that(lambda: underlay.came() > before + 5 * RATE, underlay.came)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert process.returncode == 130, errors
    told = json.loads(output)
    assert (told["verdict"]["disposition"], told["lost"]) == ("DELIVERED", 0), told
    assert told["packets"] > 0
    assert told["other_dscp"] == 0
    assert {frame[TOS] for frame in frames if frame[RECEIVER] == RECEIVED} == {EXPEDITED << 2}


def test_killed_while_it_counts_coloring_ends_by_itself_and_clean_removes_the_rest(lab: Lab, program: Vtrace) -> None:
    settings, before = read_settings(program.environment), fingerprints(lab)
    with sending(lab, rate=RATE), program.started(*COUNT, "-t", "600") as process:
        await_that(lambda: program.state() == "armed", program.state)
        process.kill()
        process.wait()
        source = lab.ovs("cs1").ofctl("dump-flows", str(lab.ovs("cs1").management_socket("br-int")))
        timeouts = re.findall(r"cookie=0x5654..81\w+.*?hard_timeout=(\d+)", source)
    assert timeouts
    assert {int(seconds) for seconds in timeouts} == {16}
    assert not any(cleaned.problem for cleaned in clean_bridges(settings, settings.ovsdb))
    assert (our_flows(lab), program.open_intents()) == (0, 0)
    assert differences(before, fingerprints(lab)) == []
