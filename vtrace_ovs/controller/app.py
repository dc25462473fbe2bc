"""The Ryu app: turns what connections, ledger and clock report into session events, and carries out the commands.

It decides nothing. Our bridges' OpenFlow messages are not published as Ryu's ``ofp_event``: a production app loaded
beside us (``vtrace controller --app``) must not take them for switches of its own (design D1).
"""

from functools import lru_cache
from pathlib import Path
from time import monotonic, time
from typing import Any, assert_never

from vtrace_ovs.codecs.profiles import load_profile
from vtrace_ovs.controller.events import EventInbox
from vtrace_ovs.controller.inbox import URGENT, Inbox
from vtrace_ovs.controller.inquirer import Inquirer
from vtrace_ovs.controller.inventory import InventoryWatch
from vtrace_ovs.controller.ledger import Ledger
from vtrace_ovs.controller.links import Links
from vtrace_ovs.controller.mailbox import Mailbox
from vtrace_ovs.controller.seam import App, hub, set_ev_cls
from vtrace_ovs.controller.settings import ControllerSettings, Surroundings
from vtrace_ovs.controller.underlay import UnderlaySearcher
from vtrace_ovs.errors import InfrastructureError, VtraceError
from vtrace_ovs.model.profile import GENERIC_PROFILE, PipelineProfile
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.session.commands import (
    Command,
    Connect,
    EraseIntents,
    HangUp,
    NameFlows,
    ObserveServers,
    Program,
    ReadBridge,
    ReadCounters,
    ReadDatapaths,
    ReportFault,
    SaveCounts,
    SaveRecords,
    SaveResult,
    SaveSamples,
    SaveSnapshot,
    SaveTaskState,
    SaveTrajectories,
    SearchUnderlay,
    WatchFlows,
    WriteIntents,
)
from vtrace_ovs.session.events import Event, InventoryRead, TaskClaimed, Tick
from vtrace_ovs.session.machine import Session

TICK, CALM_TICK = 0.02, 0.1
"""Seconds from tick to tick, and while nothing is to happen soon: each takes its time from what else the host does."""
BUSY = 0.01
"""Seconds of events in a row; then connections have their turn: under eventlet, hub threads share one of the system."""


class VTraceApp(App):  # type: ignore[misc]  # neither framework has types
    """One controller. ``failure`` is set when it cannot go on, ``ended`` names finished tasks; ``runner`` watches."""

    _EVENTS = (EventInbox,)

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - what the framework passes
        settings: ControllerSettings | None = None,
        surroundings: Surroundings | None = None,
        **kwargs: Any,  # noqa: ANN401 - what the framework passes
    ) -> None:
        super().__init__(*args, **kwargs)
        if settings is None or surroundings is None:
            raise InfrastructureError("this app needs to be told where it runs; start it with `vtrace controller`")
        self.settings = settings
        self.surroundings = surroundings
        self.failure: BaseException | None = None
        self.ended: set[int] = set()
        self.session = Session(settings.session, settings.instrumentation, _profile_named)
        self._links = Links(settings, surroundings, self.report, self._fail)
        self._mailbox: Mailbox[Event] = Mailbox(self.report)
        self._ledger = Ledger(surroundings.store, self._mailbox.post, self._fail)
        self._inquirer = Inquirer(
            surroundings.name_flows, surroundings.observe, surroundings.read_datapath, self._mailbox.post
        )
        self._underlay = UnderlaySearcher(settings, surroundings.store, surroundings.remote, self._mailbox.post)
        self._inventory = InventoryWatch(
            surroundings.inventory, settings.inventory_interval, self._inventory_read, self._fail
        )
        self._inbox = Inbox()
        self._woken = False
        self._ticking = True

    def start(self) -> None:
        """Start everything; the analyser is ready before the first task is taken (the paper's handshake)."""
        super().start()
        self._mailbox.start()
        self._links.start()
        self._ledger.start()
        self._underlay.start()
        self._inventory.start()
        self.threads.append(hub.spawn(self._tick))
        if self.settings.accept_tasks:
            self._ledger.accept_tasks()

    @property
    def idle(self) -> bool:
        """Whether no task runs or waits to be taken, and no bridge carries anything of ours."""
        return not self._inbox and self.session.idle

    def refuse_tasks(self) -> None:
        """Take no more tasks from the database."""
        self._ledger.refuse_tasks()

    def take(self, task: Task) -> None:
        """Start a task that this process added itself."""
        self._ledger.follow(task.id)
        self.report(TaskClaimed(time(), task))

    def shut_down(self) -> None:
        """End connections and threads, and store what is still queued. The network is not touched any more."""
        self._ticking = False
        self._inventory.close()
        self._underlay.close()
        self._ledger.close()
        self._links.close()
        self._mailbox.close()

    def report(self, event: Event) -> None:
        """Hand an event to the session, from any hub thread. Never blocks."""
        self._inbox.put(event)
        if not self._woken:
            self._woken = True
            self.send_event(self.name, EventInbox())

    @set_ev_cls(EventInbox)  # type: ignore[untyped-decorator]
    def _on_inbox(self, _: EventInbox) -> None:
        self._woken = False
        since = monotonic()
        try:
            while self._inbox:
                event = self._inbox.take()
                if isinstance(event, InventoryRead):
                    self._links.adopt(event.topology)
                commands = self.session.handle(event, copies_follow=self._inbox.begins_with_a_copy)
                for command in commands:
                    self._carry_out(command)
                urgent = bool(commands) and isinstance(event, URGENT)
                if self._inbox and (urgent or monotonic() - since > BUSY):
                    hub.sleep(0)
                    since = monotonic()
        except Exception as error:  # noqa: BLE001 - the runner cleans the bridges and says what happened
            self._fail(error)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, SaveTaskState) and command.state.final:
            self.ended.add(command.task_id)
        match command:
            case Connect(bridges):
                self._links.connect(bridges, min(self.session.runs, default=None))
            case HangUp(bridges):
                self._links.hang_up(bridges)
            case ReadBridge(bridge):
                self._links.read(bridge)
            case ReadCounters(bridge):
                self._links.read_counters(bridge)
            case Program():
                self._links.program(command)
            case WatchFlows():
                self._links.watch(command)
            case ReportFault(task_id, error):
                self.logger.error("task %d: an error of vtrace itself", task_id, exc_info=error)
            case NameFlows() | ObserveServers() | ReadDatapaths():
                self._inquirer.carry_out(command)
            case SearchUnderlay():
                self._underlay.carry_out(command)
            case (
                SaveTaskState()
                | SaveSnapshot()
                | SaveRecords()
                | SaveSamples()
                | SaveTrajectories()
                | SaveResult()
                | SaveCounts()
                | WriteIntents()
                | EraseIntents()
            ):
                self._ledger.put(command)
            case _:
                assert_never(command)

    def _tick(self) -> None:
        while self._ticking:
            hub.sleep(CALM_TICK if self.session.calm else TICK)
            self.report(Tick(time()))

    def _inventory_read(self, topology: Topology, problems: tuple[str, ...]) -> None:
        self._ledger.save_inventory(topology)
        self._mailbox.post(InventoryRead(time(), topology, problems))

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error


def _profile_named(name: str | None) -> PipelineProfile:
    """The profile a bridge names, read again when its file changed; without one that can be read, the generic."""
    if name is None:
        return GENERIC_PROFILE
    try:
        return _profile(name, Path(name).stat().st_mtime_ns if name.endswith(".toml") else 0)
    except (VtraceError, OSError):
        return GENERIC_PROFILE


@lru_cache
def _profile(name: str, _changed_at: int) -> PipelineProfile:
    return load_profile(name)
