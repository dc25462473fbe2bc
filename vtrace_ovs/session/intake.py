"""Turns packet-ins into records of the tasks whose packets they may show, and into what else they tell those tasks."""

from dataclasses import replace

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.probes import APART
from vtrace_ovs.instrumentation.reading import read_log
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.code_points import make_room_for
from vtrace_ovs.session.collecting import of_task, record_of
from vtrace_ovs.session.commands import Command, SaveRecords
from vtrace_ovs.session.datagrams import needs_joining
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import PacketInReceived
from vtrace_ovs.session.faults import confined
from vtrace_ovs.session.listening import hear, listeners, widen
from vtrace_ovs.session.overlaps import enters, enters_for
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.session.settings import SessionSettings


class Intake:
    """Takes copies in. It decides whose they are, never what became of a packet."""

    def __init__(self, fleet: Fleet, deployment: Deployment, settings: SessionSettings) -> None:
        self._fleet = fleet
        self._deployment = deployment
        self._patience = settings.short_buffer + settings.long_buffer

    def packet_in(self, event: PacketInReceived, runs: tuple[TaskRun, ...]) -> tuple[Command, ...]:
        """A copy arrived: a record for the task its state field names, and for those whose packet it may be as well."""
        state = self._fleet.states.get(event.bridge)
        found = ((plan, read_log(event.packet_in, plan)) for plan in self._deployment.plans_on(event.bridge))
        plan, reading = next(((plan, reading) for plan, reading in found if reading is not None), (None, None))
        if plan is None or reading is None or state is None:
            return ()
        commands: list[Command] = []
        if reading.probe.kind not in APART:
            state.took_copy(plan, event.at)
        if reading.probe.kind in (ProbeKind.ASKED, ProbeKind.FRAGMENT):
            for run in listeners(event, runs):
                self._deployment.stale |= hear(run, event, runs, self._fleet.topology)
            return tuple(commands)
        owners = [run for run in runs if self._may_own(run, reading.slot, event.at)]
        for run in owners:
            run.observation.copy(event.bridge.node)
            run.touched = True
        if not reading.traced:
            if reading.probe.kind is ProbeKind.UNCOLORED:
                self._deployment.stale |= make_room_for(event.headers.dscp, owners, self._deployment.planning)
            return tuple(commands)
        record: PacketInRecord | None = None
        for run in (one for one in owners if one.instrumented):
            with confined(run):
                if needs_joining(run.task.request.filter, event.headers):
                    self._deployment.stale |= widen(run, event.headers, runs, self._fleet.topology)
                record = record or record_of(event, reading, state.bridge, self._fleet.topology)
                commands.extend(self._record(run, record, event.at))
        return tuple(commands)

    def _may_own(self, run: TaskRun, slot: int, at: float) -> bool:
        """Whether a copy that names this slot may be of the task's packets.

        Where other tasks color on, that ends when packets that entered before this one closed cannot be on their way.
        """
        over = bool(run.partners) and run.closed_at is not None and at - run.closed_at >= self._patience
        return not over and (slot == run.slot or slot in run.partners)

    def _record(self, run: TaskRun, record: PacketInRecord, at: float) -> tuple[Command, ...]:
        if run.partners:
            return self._shared(run, record, at)
        if enters(record) and record.in_port not in run.traffic.ofports(record.bridge):
            return ()
        traffic = run.task.request.filter
        its = of_task(record, run.task.id, run.sequence, run.groups.get(record.packet_id))
        mine = run.datagrams.admit(its) if needs_joining(traffic, record.headers) else (its,)
        numbered = (replace(one, sequence=run.sequence) for one in mine)
        kept = tuple(one for one in numbered if run.keep(one, at, enters=enters(one)))
        return (SaveRecords(kept),) if kept else ()

    def _shared(self, run: TaskRun, record: PacketInRecord, at: float) -> tuple[Command, ...]:
        """A copy of a packet that several tasks may own is a record of those that saw it entering as theirs.

        Of equal packets all copies are records, so that the one that entered here is told from the others.
        """
        own = enters(record) and enters_for(run.traffic, record.bridge, record.in_port, record.headers)
        if record.packet_id not in run.groups and not own:
            if not run.full:
                run.held.hold(record)
            return ()
        late = own and not run.gathering
        kept: list[PacketInRecord] = []
        for copy in (*run.held.release(record.packet_id), record):
            numbered = of_task(copy, run.task.id, run.sequence, run.groups.get(copy.packet_id))
            if run.keep(numbered, at, enters=own and copy is record, late=late):
                kept.append(numbered)
        return (SaveRecords(tuple(kept)),) if kept else ()
