"""Turns the copies of real packets on the lab into times: storing each packet-in, and judging each trajectory.

A controller in a process of its own keeps every packet-in message it gets, whole; this process plays them through the
same functions again and again, with nothing between them. Needs root and Mininet.
"""

import copyreg
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, islice, pairwise
from pathlib import Path
from time import perf_counter, thread_time
from typing import TYPE_CHECKING

import live
from page import Section, microseconds, publish, quantile, verdict

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.codecs.framing import Message
from vtrace_ovs.codecs.profiles import load_profile
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.instrumentation.reading import read_log
from vtrace_ovs.lab.client import LabClient
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.oxm import Field, field
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.records import PacketIn, PacketInRecord
from vtrace_ovs.model.topology import Bridge, BridgeId, Topology
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.session.collecting import of_task, record_of
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.events import PacketInReceived
from vtrace_ovs.session.predicting import predict
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.storage.store import Store
from vtrace_ovs.trajectories.stitch import Stitcher
from vtrace_ovs.walker.network import Network

if TYPE_CHECKING:
    from vtrace_ovs.model.trajectory import Trajectory

PACKETS = 100
INGESTED, BATCH, RUNS = 20_000, 1000, 3
MILLION = 1_000_000
ROUNDS = 60
RATE_BAR, JUDGE_BAR = 20_000, 50e-6
OVSDB_TIMEOUT = 5.0
IP_ID = 18  # its place in an untagged frame


@dataclass(frozen=True, slots=True)
class Captured:
    """Everything about one real task: its packet-ins as they came, the plans they are read by, records and tables."""

    packet_ins: tuple[tuple[BridgeId, Message], ...]
    plans: Mapping[BridgeId, BridgePlan]
    topology: Topology
    profiles: Mapping[BridgeId, PipelineProfile]
    records: tuple[PacketInRecord, ...]
    tables: Mapping[BridgeId, BridgeTables]


def main() -> None:
    """One real task, then both measurements on what it left."""
    with tempfile.TemporaryDirectory() as place:
        captured = _captured(Path(place))
        publish(_trajectories(captured))
        publish(_ingestion(captured, Path(place)))
        publish(_memory(captured, Path(place)))


def _captured(place: Path) -> Captured:
    with live.lab(place) as client:
        topology = read_inventory(client.status().ovsdb_remotes, OVSDB_TIMEOUT, None).topology
        profiles = {vfd.id: load_profile(vfd.profile) for vfd in topology.vfds() if vfd.profile}
        with live.controller(place, client, __file__) as watch, Store.open(place / "vtrace.db") as store:
            task_id = _traced(client, store)
            records = store.records(task_id)
            tables = {kept.bridge: store.snapshot(kept.digest) for kept in store.snapshots_of(task_id)}
        packet_ins, plans = pickle.loads(watch.read_bytes())  # noqa: S301 - our own child wrote it
    known = {bridge: read for bridge, read in tables.items() if read is not None}
    return Captured(packet_ins, plans, topology, profiles, records, known)


def _traced(client: LabClient, store: Store) -> int:
    with live.traffic(client, None):
        task = live.traced(store, PACKETS)
    result = store.result(task.id)
    if result is None or result.verdict.disposition is not Disposition.DELIVERED:
        print(f"task {task.id}: {task.state.value} {task.reason or ''}: {result and result.verdict}", flush=True)
    return task.id


def _trajectories(captured: Captured) -> Section:
    """Every packet of the task rebuilt and diagnosed again, one at a time."""
    packets: dict[str, list[PacketInRecord]] = {}
    for record in captured.records:
        packets.setdefault(record.packet_id, []).append(record)
    scene = Scene(captured.topology, captured.profiles)
    network = Network.build(captured.topology, captured.tables)
    stitcher = Stitcher(captured.topology)
    times: dict[str, list[float]] = {"rebuild": [], "diagnose": [], "predict": []}
    ways: dict[str, tuple[Trajectory, ...]] = {}
    for number in range(ROUNDS + 1):
        for packet_id, records in packets.items():
            began = thread_time()
            observed = stitcher.stitch(records)
            rebuilt = thread_time()
            for way in observed:
                diagnose(way, None, scene)
            if number:  # the first round warms up
                times["diagnose"].append(thread_time() - rebuilt)
                times["rebuild"].append(rebuilt - began)
            ways[packet_id] = observed
        # Walks are far longer: between two packets they would push this code out of the processor's caches.
        for packet_id, records in packets.items():
            began = thread_time()
            for way in ways[packet_id]:
                predict(network, way, records)
            if number:
                times["predict"].append(thread_time() - began)
    both = [a + b for a, b in zip(times["rebuild"], times["diagnose"], strict=True)]
    rows = [
        ("rebuild", *_times(times["rebuild"]), ""),
        ("diagnose", *_times(times["diagnose"]), ""),
        ("**rebuild and diagnose**", *_times(both), verdict(sum(both) / len(both), JUDGE_BAR)),
        ("predict by walking the stored tables", *_times(times["predict"]), ""),
    ]
    hops = len(captured.records) / len(packets)
    return Section(
        "trajectories",
        "Judging one trajectory",
        ("processor time", "mean", "median", "p99", "bar 50 µs"),
        rows,
        (
            f"{len(packets)} packets delivered on the lab, {hops:.1f} records each, {ROUNDS} times, on one core.",
            "VTrace (SIGCOMM 2020) reports 0.54 ms to rebuild and diagnose one path on its cluster.",
        ),
    )


def _times(seconds: list[float]) -> tuple[str, str, str]:
    mean = sum(seconds) / len(seconds)
    return microseconds(mean), microseconds(quantile(seconds, 0.5)), microseconds(quantile(seconds, 0.99))


def _ingestion(captured: Captured, place: Path) -> Section:
    """Packet-ins as bytes to committed rows of SQLite, on one thread; the best of a few runs."""
    runs = []
    for run in range(RUNS):
        with Store.open(place / f"ingestion{run}.db") as store:
            runs.append(_ingest(captured, store))
    best = [min(each) for each in zip(*runs, strict=True)]
    names = ("message to packet-in and headers", "packet-in to record", "record to committed row", "**all**")
    rows = [
        (name, microseconds(processor / INGESTED), f"{INGESTED / processor:,.0f}/s", f"{INGESTED / wall:,.0f}/s", "")
        for name, processor, wall in zip(names, best[:4], best[4:], strict=True)
    ]
    bars = f"{verdict(RATE_BAR, INGESTED / best[3])}; {verdict(RATE_BAR, INGESTED / best[7])}"
    rows[3] = (*rows[3][:4], bars)
    return Section(
        "ingestion",
        "Taking packet-ins into the database",
        ("step", "processor time each", "rate by it", "rate by the clock", "bar 20,000/s, by either"),
        rows,
        (
            f"{INGESTED:,} packet-ins that real bridges sent, played back on one thread; the best of {RUNS} runs.",
            "Each playing is of packets with other IP IDs, so that nothing is remembered that would not be.",
            f"SQLite in WAL mode, {BATCH} records to a transaction. None is lost: every row is counted.",
            "Antrea's Traceflow, the nearest published figure, was tested with 10,000 packet-ins a second.",
        ),
    )


def _memory(captured: Captured, place: Path) -> Section:
    """A million records, tasks of a full trace's size one after another: what the process and the database grow to."""
    rows = []
    with Store.open(place / "million.db") as store:
        for stored in range(INGESTED, MILLION + 1, INGESTED):
            _ingest(captured, store)
            if stored in (INGESTED, MILLION // 10, MILLION // 2, MILLION):
                newest = store.tasks(limit=1)[0]
                began = thread_time()
                read = len(store.records(newest.id))
                spent = thread_time() - began
                size = (place / "million.db").stat().st_size
                rows.append((f"{stored:,}", _megabytes(_resident()), _megabytes(size), microseconds(spent / read)))
    return Section(
        "memory",
        "A million records",
        ("records stored", "memory of the process", "database", "reading a task's records, each"),
        rows,
        (f"Tasks of {INGESTED:,} records each, which is what 500 packets of 40 copies leave; the database on disk.",),
    )


def _resident() -> int:
    """Bytes of memory this process has now (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _ingest(captured: Captured, store: Store) -> tuple[float, ...]:
    """Seconds for decoding, recording, storing and all of it: of processor time first, then by the clock."""
    bridges = {vfd.id: vfd for vfd in captured.topology.vfds()}
    task_id = store.add_task(live.request(1), 0.0).id
    spent = [0.0] * 6
    numbers = iter(range(INGESTED))
    for batch in _batches(captured.packet_ins):
        marks = [_now()]
        read = [_decoded(message, at) for at, (_, message) in enumerate(batch)]
        marks.append(_now())
        records = [
            _record(captured, bridges[bridge_id], *each, (task_id, next(numbers)))
            for (bridge_id, _), each in zip(batch, read, strict=True)
        ]
        marks.append(_now())
        store.save_records(records)
        marks.append(_now())
        for step, (before, after) in enumerate(pairwise(marks)):
            spent[step] += after[0] - before[0]
            spent[step + 3] += after[1] - before[1]
    stored = len(store.records(task_id))
    if stored != INGESTED:
        raise SystemExit(f"{stored} records were stored of {INGESTED}")
    return (*spent[:3], sum(spent[:3]), *spent[3:], sum(spent[3:]))


def _now() -> tuple[float, float]:
    return thread_time(), perf_counter()


def _batches(packet_ins: tuple[tuple[BridgeId, Message], ...]) -> Iterator[list[tuple[BridgeId, Message]]]:
    """The packet-ins again and again, each time of packets with other IP IDs: nothing new may look like the old."""
    rounds = count()
    endless = ((bridge, _renumbered(message, again)) for again in rounds for bridge, message in packet_ins)
    for _ in range(INGESTED // BATCH):
        yield list(islice(endless, BATCH))


def _renumbered(message: Message, again: int) -> Message:
    at = message.body.index(openflow.packet_in(message, 1, 0.0).frame) + IP_ID
    number = int.from_bytes(message.body[at : at + 2]) + 1009 * again & 0xFFFF
    return replace(message, body=message.body[:at] + number.to_bytes(2) + message.body[at + 2 :])


def _decoded(message: Message, at: float) -> tuple[PacketIn, Headers]:
    packet_in = openflow.packet_in(message, 1, at)
    return packet_in, headers(packet_in.frame, packet_in.total_length)


def _record(
    captured: Captured, bridge: Bridge, packet_in: PacketIn, read: Headers, numbers: tuple[int, int]
) -> PacketInRecord:
    reading = read_log(packet_in, captured.plans[bridge.id])
    if reading is None:
        raise SystemExit(f"a packet-in of {bridge.id} is not of the plan it was kept with")
    event = PacketInReceived(packet_in.received_at, bridge.id, packet_in, read)
    return of_task(record_of(event, reading, bridge, captured.topology), *numbers, None)


def control(watch: Path) -> None:
    """Be ``vtrace controller``, and keep every packet-in and the plan it was read by."""
    from vtrace_ovs.cli.running import run_controller  # noqa: PLC0415 - the measuring process does without Ryu
    from vtrace_ovs.cli.settings import read_settings  # noqa: PLC0415 - as above
    from vtrace_ovs.controller.bridge_link import BridgeLink  # noqa: PLC0415 - as above
    from vtrace_ovs.session.intake import Intake  # noqa: PLC0415 - as above

    receive, take_in = BridgeLink._packet_in, Intake.packet_in  # noqa: SLF001 - a stopwatch has to be put somewhere
    latest: list[tuple[BridgeId, Message]] = []
    kept: list[tuple[BridgeId, Message]] = []
    plans: dict[BridgeId, BridgePlan] = {}

    def kept_packet_in(self: BridgeLink, message: Message) -> None:
        latest.append((self.bridge, message))
        receive(self, message)

    def kept_plan(self: Intake, event: PacketInReceived, runs: tuple[TaskRun, ...]) -> tuple[Command, ...]:
        for plan in self._deployment.plans_on(event.bridge):
            reading = read_log(event.packet_in, plan)
            if reading is not None and reading.traced:
                plans.setdefault(plan.bridge, plan)
        return take_in(self, event, runs)

    BridgeLink._packet_in = kept_packet_in  # type: ignore[method-assign]  # noqa: SLF001 - as above
    Intake.packet_in = kept_plan  # type: ignore[method-assign]
    settings = read_settings()
    try:
        run_controller(settings, settings.ovsdb, (), None)
    finally:
        for bridge, message in latest:
            plan = plans.get(bridge)
            if plan is not None and read_log(openflow.packet_in(message, 1, 0.0), plan) is not None:
                kept.append((bridge, message))
        copyreg.pickle(Field, lambda entry: (field, (entry.name,)))
        small = {bridge: replace(plan, sinks=(), sources=()) for bridge, plan in plans.items()}
        watch.write_bytes(pickle.dumps((tuple(kept), small)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        control(Path(sys.argv[1]))
    else:
        main()
