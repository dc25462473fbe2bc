"""Wires adapters to the session: inventory, database and controller in this process, for one task or for all.

The only module that imports the controller's app: the framework must be chosen before that.
"""

import importlib
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.cli.naming import flow_names
from vtrace_ovs.cli.settings import Settings
from vtrace_ovs.controller.cleaning import Cleaned, clean_all
from vtrace_ovs.controller.dialogue import dial
from vtrace_ovs.controller.framework import Framework, prefer
from vtrace_ovs.controller.lock import controller_lock
from vtrace_ovs.controller.service_address import ServiceAddress
from vtrace_ovs.controller.settings import ControllerSettings, Surroundings
from vtrace_ovs.errors import OpenFlowError, OvsdbError, UsageError
from vtrace_ovs.filters import reply_request, require_two_ways
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.instrumentation.scope import scope_note
from vtrace_ovs.model.counting import CountReport
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket, Topology
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.ovsdb.attachment import ServiceAttachment
from vtrace_ovs.ovsdb.datapath import DatapathAudit
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.ovsdb.liveness import probe
from vtrace_ovs.ovsdb.observation import observe
from vtrace_ovs.ovsdb.revalidation import wait_rounds
from vtrace_ovs.session.dry_run import plan_all, to_read
from vtrace_ovs.session.scope import resolve
from vtrace_ovs.session.settings import SessionSettings

if TYPE_CHECKING:
    from vtrace_ovs.model.flow import BridgeTables
    from vtrace_ovs.storage.store import Store

OVSDB_TIMEOUT = 5.0
BRIDGE_TIMEOUT = 2.0
PROBE_TIMEOUT = 0.5
ROUND_TIMEOUT = 10.0
"""A busy ovs-vswitchd takes its time for a round; one that hangs is noticed sooner, by its connection."""
OBSERVATION_TIMEOUT = 0.5
DATAPATH_TIMEOUT, DATAPATH_ROUND = 1.0, 2.0
GENERATIONS = 256


def run_task(
    request: TraceRequest, settings: Settings, connections: tuple[str, ...], framework: str | None
) -> tuple[Task, TaskResult | None, bool]:
    """One task, from added to cleaned up: the task as it ended, its result if any, and False when interrupted."""
    ((task, result),), finished = run_tasks((request,), settings, connections, framework)
    return task, result, finished


def run_tasks(
    requests: Sequence[TraceRequest], settings: Settings, connections: tuple[str, ...], framework: str | None
) -> tuple[tuple[tuple[Task, TaskResult | None], ...], bool]:
    """Tasks side by side, from added to cleaned up: each as it ended with its result if any; False when interrupted."""
    runner = _runner(framework)
    topology = _vfds(settings, connections)
    requests = [resolve(topology, request) for request in requests]
    with _controller(settings, connections, topology, accept_tasks=False) as (controlled, around, store):
        added = [store.add_task(request, time.time()) for request in requests]
        tasks = tuple(store.set_state(task.id, TaskState.ANALYSER_READY, time.time()) for task in added)
        finished = runner.run(controlled, around, tasks)
        return tuple((store.task(task.id) or task, store.result(task.id)) for task in tasks), finished


def run_counting(
    request: TraceRequest, settings: Settings, connections: tuple[str, ...], framework: str | None
) -> tuple[Task, CountReport | None, bool]:
    """One task that counts, from added to cleaned up: as it ended, what it counted, and False when interrupted."""
    runner = _runner(framework)
    topology = _vfds(settings, connections)
    with _controller(settings, connections, topology, accept_tasks=False) as (controlled, around, store):
        task = store.add_task(resolve(topology, request), time.time())
        task = store.set_state(task.id, TaskState.ANALYSER_READY, time.time())
        finished = runner.run(controlled, around, (task,))
        return store.task(task.id) or task, store.counts(task.id), finished


def run_exchange(
    request: TraceRequest, settings: Settings, connections: tuple[str, ...], framework: str | None
) -> tuple[tuple[Task, Task], tuple[TaskResult | None, TaskResult | None], bool]:
    """A task and one for its replies, from added to cleaned up: both as they ended, and False when interrupted."""
    runner = _runner(framework)
    topology = _vfds(settings, connections)
    request = resolve(topology, request)
    require_two_ways(request.filter)
    with _controller(settings, connections, topology, accept_tasks=False) as (controlled, around, store):
        added = store.add_exchange(request, reply_request, time.time())
        there, back = (store.set_state(task.id, TaskState.ANALYSER_READY, time.time()) for task in added)
        finished = runner.run(controlled, around, (there, back))
        ended = (store.task(there.id) or there, store.task(back.id) or back)
        return ended, (store.result(there.id), store.result(back.id)), finished


def run_controller(
    settings: Settings, connections: tuple[str, ...], apps: tuple[str, ...], framework: str | None
) -> None:
    """Serve the database's tasks until a signal comes."""
    runner = _runner(framework)
    topology = _vfds(settings, connections)
    with _controller(settings, connections, topology, accept_tasks=True, apps=apps) as (controlled, around, _):
        runner.run(controlled, around)


def clean_bridges(settings: Settings, connections: tuple[str, ...]) -> tuple[Cleaned, ...]:
    """Remove everything of ours from every bridge of the inventory; refused while a controller runs here."""
    topology = _vfds(settings, connections)
    with controller_lock(settings.rundir), open_store(settings.database) as store:
        _fail_unfinished(store)
        return clean_all(topology, store, _controller_settings(settings), _remote(settings), time.time())


def plans(
    request: TraceRequest, settings: Settings, connections: tuple[str, ...], *, both: bool = False
) -> tuple[tuple[BridgePlan, ...], int, tuple[str, ...]]:
    """What arming would install where the packets may come, of how many VFDs, and remarks; ``both``: for replies too.

    The remarks tell why bridges cannot be read, and to which ports a request is narrowed.
    """
    topology = _vfds(settings, connections)
    requests = [resolve(topology, request)]
    if both:
        require_two_ways(requests[0].filter)
        requests.append(resolve(topology, reply_request(requests[0], 1)))
    controlled = _controller_settings(settings)
    tables: dict[BridgeId, BridgeTables] = {}
    narrowed = tuple(note for asked in requests if (note := scope_note(topology, asked)) is not None)
    problems: dict[BridgeId, str] = {}
    while unread := to_read(topology, tables, requests, time.time()).difference(problems):
        for bridge in topology.vfds():
            if bridge.id in unread:
                try:
                    tables[bridge.id] = _read(bridge, controlled.controller_id)
                except OpenFlowError as problem:
                    problems[bridge.id] = str(problem)
    planned = plan_all(topology, tables, requests, controlled.instrumentation, time.time())
    return planned, len(topology.vfds()), (*narrowed, *problems.values())


def _read(bridge: Bridge, controller_id: int) -> "BridgeTables":
    """The tables of a local bridge. Raises OpenFlowError for one that cannot be read."""
    if not isinstance(bridge.attachment, ManagementSocket):
        raise OpenFlowError(f"{bridge.id} is remote: a dry run attaches to nothing, so its tables are not known")
    try:
        with closing(dial(bridge, bridge.attachment.path, controller_id, BRIDGE_TIMEOUT)) as dialogue:
            return dialogue.read().tables
    except (OSError, OpenFlowError) as error:
        raise OpenFlowError(f"{bridge.id} cannot be read: {error}") from error


def _runner(framework: str | None) -> ModuleType:
    """The runner, on the framework asked for. Raises UsageError for one that does not exist."""
    names = {choice.value.replace("_", "-"): choice for choice in Framework}
    if framework is not None and framework not in names:
        raise UsageError(f"--framework {framework}: there are {' and '.join(names)}")
    prefer(None if framework is None else names[framework])
    return importlib.import_module("vtrace_ovs.controller.runner")


def _vfds(settings: Settings, connections: tuple[str, ...]) -> Topology:
    """The inventory, with something in it. Raises OvsdbError when there is nothing to trace on."""
    inventory = read_inventory(connections, OVSDB_TIMEOUT, settings.tls)
    if not inventory.topology.vfds():
        places = ", ".join(connections)
        raise OvsdbError(f"no bridge to trace on in {places}: name the servers of the overlay with --ovsdb")
    return inventory.topology


def _controller_settings(
    settings: Settings, *, accept_tasks: bool = False, apps: tuple[str, ...] = ()
) -> ControllerSettings:
    return ControllerSettings(
        generation=secrets.randbelow(GENERATIONS),
        accept_tasks=accept_tasks,
        apps=apps,
        listen=None if settings.listen is None else ServiceAddress.parse(settings.listen),
        session=_session_settings(settings),
    )


def _session_settings(settings: Settings) -> SessionSettings:
    usual = SessionSettings(max_tasks=settings.max_tasks)
    return usual if settings.underlay else replace(usual, search_time=0.0)


def _remote(settings: Settings) -> ServiceAttachment:
    return ServiceAttachment(OVSDB_TIMEOUT, settings.tls)


@contextmanager
def _controller(
    settings: Settings,
    connections: tuple[str, ...],
    topology: Topology,
    *,
    accept_tasks: bool,
    apps: tuple[str, ...] = (),
) -> Iterator[tuple[ControllerSettings, Surroundings, "Store"]]:
    """The right to be this host's controller, over a database and bridges in which no earlier crash left anything."""
    controlled = _controller_settings(settings, accept_tasks=accept_tasks, apps=apps)
    with controller_lock(settings.rundir), open_store(settings.database) as store:
        _fail_unfinished(store)
        if store.open_intents():
            clean_all(topology, store, controlled, _remote(settings), time.time())
        around = Surroundings(
            store,
            partial(_inventory, settings, connections),
            partial(_why_dead, settings),
            _remote(settings),
            partial(wait_rounds, timeout=ROUND_TIMEOUT),
            partial(observe, timeout=OBSERVATION_TIMEOUT, tls=settings.tls),
            partial(flow_names, settings),
            DatapathAudit(DATAPATH_TIMEOUT, DATAPATH_ROUND).read,
        )
        yield controlled, around, store


def _fail_unfinished(store: "Store") -> None:
    """Tasks of a controller that is no more: it was the only one, so they will not go on by themselves."""
    for task in store.unfinished():
        if task.state is not TaskState.NEW:
            store.set_state(task.id, TaskState.FAILED, time.time(), reason="the controller ended before the task did")


def _inventory(settings: Settings, connections: tuple[str, ...]) -> tuple[Topology, tuple[str, ...]]:
    inventory = read_inventory(connections, OVSDB_TIMEOUT, settings.tls)
    return inventory.topology, inventory.problems


def _why_dead(settings: Settings, bridge: Bridge) -> str | None:
    looked = probe(bridge, PROBE_TIMEOUT, settings.tls)
    return None if looked.alive else looked.reason
