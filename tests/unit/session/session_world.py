"""A session and the bridges around it, without any I/O: bridges keep what they are told and answer at once, or not.

``transcript`` holds every command in order, ``told`` the same in words.
"""

from collections.abc import Iterable
from dataclasses import replace

from session_network import CS1, CS2, DPIDS, TUNNEL_PORT, VM_PORT, VNI, VTEPS, production, topology
from session_servers import Datapaths, observed
from session_words import is_removal, is_source, words

from vtrace_ovs.instrumentation.plan import BridgePlan, Probe, ProbeKind, Settings
from vtrace_ovs.instrumentation.probes import UserData
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.flow import (
    BridgeTables,
    Flow,
    FlowKey,
    FlowMod,
    FlowModCommand,
    MeterCounters,
    MeterEntry,
    MeterMod,
    MeterModCommand,
)
from vtrace_ovs.model.oxm import TUN_DST, TUN_SRC, field
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.profile import GENERIC_PROFILE
from vtrace_ovs.model.records import PacketIn
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.session.commands import (
    Command,
    Connect,
    EraseIntents,
    HangUp,
    ObserveServers,
    Program,
    ReadBridge,
    ReadDatapaths,
    SaveResult,
    SaveTaskState,
    WriteIntents,
)
from vtrace_ovs.session.events import (
    BridgeDown,
    BridgeRead,
    BridgeUp,
    CancelRequested,
    Event,
    IntentsWritten,
    InventoryRead,
    PacketInReceived,
    Programmed,
    TaskClaimed,
    Tick,
)
from vtrace_ovs.session.machine import Session
from vtrace_ovs.session.settings import SessionSettings

START = 1000.0
GENERATION = 3
SETTINGS = Settings(controller_id=0x5654, generation=GENERATION)


class World:
    """Everything around a session. Feed it with the verbs; time stands still unless ``wait`` is called.

    Bridges in ``mute`` get programs and requests but never answer; those in ``refusing`` refuse what they are sent
    (``refusing_removal``: only deletes). ``hold_intents`` leaves intents unanswered, ``deaf`` whoever asks servers.
    ``absent`` are bridges that are down, and why; of those ``unheard`` nothing is heard when they are called. Who is
    ``connected`` was called and not hung up on.
    """

    def __init__(self, *bridges: BridgeId, settings: SessionSettings | None = None) -> None:
        self.session = Session(settings or SessionSettings(), SETTINGS, lambda _: GENERIC_PROFILE)
        self.now = START
        self.topology = topology(*bridges)
        self.production = {bridge: production(bridge) for bridge in bridges}
        self.production_meters: dict[BridgeId, tuple[MeterEntry, ...]] = {}
        self.counters: dict[BridgeId, tuple[MeterCounters, ...]] = {}
        self.flows: dict[BridgeId, dict[FlowKey, FlowMod]] = {bridge: {} for bridge in bridges}
        self.meters: dict[BridgeId, dict[int, MeterMod]] = {bridge: {} for bridge in bridges}
        self.mute: set[BridgeId] = set()
        self.absent: dict[BridgeId, str] = {}
        self.unheard: set[BridgeId] = set()
        self.connected: set[BridgeId] = set()
        self.refusing: dict[BridgeId, str] = {}
        self.refusing_removal: dict[BridgeId, str] = {}
        self.hold_intents = False
        self.deaf = False
        self.datapaths = Datapaths()
        self.transcript: list[Command] = []
        self._marked = 0
        self.feed(InventoryRead(self.now, self.topology))

    def feed(self, event: Event) -> tuple[Command, ...]:
        """One event, and what follows from the bridges' answers to it; returns the commands of the event itself."""
        commands = self.session.handle(event)
        self.transcript += commands
        for command in commands:
            for answer in self._answers(command):
                self.feed(answer)
        return commands

    def tick(self) -> None:
        self.feed(Tick(self.now))

    def wait(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass, ticking."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            self.tick()

    def claim(self, request: TraceRequest, number: int = 1) -> None:
        self.feed(TaskClaimed(self.now, Task(number, request, TaskState.ANALYSER_READY, self.now)))
        self.tick()

    def wake(self, bridge: BridgeId) -> None:
        """A mute bridge answers every program it was sent, in order."""
        self.mute.discard(bridge)
        for command in [c for c in self.transcript if isinstance(c, Program) and c.bridge == bridge]:
            answer = self.program(command)
            if answer is not None:
                self.feed(answer)

    def cancel(self, number: int = 1) -> None:
        self.feed(CancelRequested(self.now, number))

    def down(self, bridge: BridgeId, reason: str = "ovs-vswitchd died") -> None:
        self.absent[bridge] = reason
        self.feed(BridgeDown(self.now, bridge, reason))

    def up(self, bridge: BridgeId) -> None:
        self.absent.pop(bridge, None)
        self.feed(self._greeting(bridge))

    def _greeting(self, bridge: BridgeId) -> Event:
        if bridge in self.absent:
            return BridgeDown(self.now, bridge, self.absent[bridge])
        return BridgeUp(self.now, bridge, DPIDS[bridge])

    def restart(self, bridge: BridgeId) -> None:
        """The bridge lost all we gave it."""
        self.flows[bridge].clear()
        self.meters[bridge].clear()

    def rewrite(self, bridge: BridgeId, *flows: Flow) -> None:
        """Production has other flows from now on."""
        self.production[bridge] = flows

    # Copies of packets, as the plans that are installed would send them.

    def probe(self, bridge: BridgeId, kind: ProbeKind, out_port: int | None = None) -> Probe:
        (plan, *_) = self.session.deployment.plans_on(bridge)
        return next(probe for probe in plan.probes if probe.kind is kind and out_port in (None, probe.out_port))

    def copy(self, bridge: BridgeId, probe: Probe, state: State, packet: Headers, **metadata: int) -> PacketInReceived:
        (plan, *_) = self.session.deployment.plans_on(bridge)
        fields = [(plan.state.field, state.word), *((field(name), value) for name, value in metadata.items())]
        userdata = UserData(probe.kind, probe.id, plan.meter_ids.traced).pack()
        packet_in = PacketIn(DPIDS[bridge], 0, 0, 1, tuple(fields), userdata, b"", packet.length, self.now)
        return PacketInReceived(self.now, bridge, packet_in, packet)

    def state(self, index: int, slot: int = 0, dscp: int = 0, *, marked: bool = False) -> State:
        code = self.session.planning.marks.code(index, dscp)
        return State(traced=True, marked=marked, index=index, code=code, dscp=dscp, slot=slot)

    def entering(self, packet: Headers, slot: int = 0) -> PacketInReceived:
        probe = self.probe(CS1, ProbeKind.COLORED)
        return self.copy(CS1, probe, self.state(1, slot), packet, in_port=VM_PORT)

    def leaving(self, packet: Headers, slot: int = 0, to: BridgeId = CS2) -> PacketInReceived:
        probe = self.probe(CS1, ProbeKind.OUT, TUNNEL_PORT)
        state = self.state(1, slot, marked=True)
        return self.copy(CS1, probe, state, packet, in_port=VM_PORT, tun_id=VNI, tun_dst=int(VTEPS[to]))

    def dropped(self, packet: Headers, slot: int = 0) -> PacketInReceived:
        probe = self.probe(CS1, ProbeKind.ERROR)
        return self.copy(CS1, probe, self.state(1, slot), packet, in_port=VM_PORT)

    def arriving(self, packet: Headers, slot: int = 0) -> PacketInReceived:
        probe = self.probe(CS2, ProbeKind.ARRIVED)
        outer = {TUN_SRC.name: int(VTEPS[CS1]), TUN_DST.name: int(VTEPS[CS2])}
        return self.copy(CS2, probe, self.state(2, slot), packet, in_port=TUNNEL_PORT, tun_id=VNI, **outer)

    def delivered(self, packet: Headers, slot: int = 0) -> PacketInReceived:
        probe = self.probe(CS2, ProbeKind.OUT, VM_PORT)
        return self.copy(CS2, probe, self.state(2, slot), packet, in_port=TUNNEL_PORT)

    def uncolored(self, packet: Headers, slot: int = 0) -> PacketInReceived:
        probe = self.probe(CS1, ProbeKind.UNCOLORED)
        return self.copy(CS1, probe, State(slot=slot), packet, in_port=VM_PORT)

    def whole_way(self, packet: Headers, slot: int = 0) -> tuple[PacketInReceived, ...]:
        return (
            self.entering(packet, slot),
            self.leaving(packet, slot),
            self.arriving(packet, slot),
            self.delivered(packet, slot),
        )

    def feed_all(self, events: Iterable[Event]) -> None:
        for event in events:
            self.feed(event)

    def told(self, *kinds: type[Command]) -> list[str]:
        """The commands since the last call in words; of the given kinds only, else all but who is to be connected."""
        fresh, self._marked = self.transcript[self._marked :], len(self.transcript)
        left_out = () if kinds else (Connect, HangUp)
        return [
            words(command)
            for command in fresh
            if not isinstance(command, left_out) and (not kinds or isinstance(command, kinds))
        ]

    def states(self, number: int = 1) -> list[TaskState]:
        return [entry.state for entry in self.saved() if entry.task_id == number]

    def saved(self) -> list[SaveTaskState]:
        return [command for command in self.transcript if isinstance(command, SaveTaskState)]

    def results(self, number: int = 1) -> list[TaskResult]:
        saved = (command.result for command in self.transcript if isinstance(command, SaveResult))
        return [result for result in saved if result.task_id == number]

    @property
    def result(self) -> TaskResult:
        return self.results()[-1]

    def plan(self, bridge: BridgeId) -> BridgePlan | None:
        return self.session.fleet.states[bridge].carried

    def sources(self, bridge: BridgeId) -> list[FlowMod]:
        return [mod for mod in self.flows[bridge].values() if is_source(mod)]

    @property
    def clean(self) -> bool:
        """Whether nothing of ours is left anywhere, and no intent is open."""
        return not any(self.flows.values()) and not any(self.meters.values()) and not self.open_intents

    @property
    def open_intents(self) -> set[tuple[str, int]]:
        found: set[tuple[str, int]] = set()
        for command in self.transcript:
            if isinstance(command, WriteIntents):
                found |= {(draft.target, draft.task_id) for draft in command.intents}
            if isinstance(command, EraseIntents):
                found -= {(str(command.bridge), number) for number in command.task_ids}
        return found

    def _answers(self, command: Command) -> tuple[Event, ...]:
        if isinstance(command, Connect):
            self.connected.update(command.bridges)
            return tuple(self._greeting(bridge) for bridge in command.bridges if bridge not in self.unheard)
        if isinstance(command, HangUp):
            self.connected.difference_update(command.bridges)
        if isinstance(command, ObserveServers):
            return observed(command, self.flows, self.flows if self.deaf else self.mute, self.now)
        if isinstance(command, ReadDatapaths):
            return () if self.deaf else (self.datapaths.read(command, self.now),)
        answer = self._answer(command)
        return () if answer is None else (answer,)

    def _answer(self, command: Command) -> Event | None:
        if isinstance(command, WriteIntents) and not self.hold_intents:
            return IntentsWritten(self.now, command.batch)
        if isinstance(command, Program):
            return self.program(command)
        if isinstance(command, ReadBridge) and command.bridge not in self.mute:
            return self.reading(command.bridge)
        return None

    def reading(self, bridge: BridgeId) -> BridgeRead:
        """What the bridge would answer now."""
        ours = tuple(
            Flow(mod.table_id, mod.priority, mod.match, mod.instructions, mod.cookie)
            for mod in self.flows[bridge].values()
        )
        kept = tuple(MeterEntry(m.meter_id, m.rate, m.burst, packets=True) for m in self.meters[bridge].values())
        meters = (*self.production_meters.get(bridge, ()), *kept)
        tables = BridgeTables(DPIDS[bridge], self.now, (*self.production[bridge], *ours), meters=meters)
        return BridgeRead(self.now, bridge, tables, self.counters.get(bridge, ()))

    def program(self, command: Program) -> Programmed | None:
        """Carry out a program; its confirmation, unless the bridge is mute."""
        bridge = command.bridge
        if bridge in self.mute:
            return None
        removal = all(is_removal(mod) for mod in command.mods)
        refusal = self.refusing_removal.get(bridge) if removal else self.refusing.get(bridge)
        if refusal is not None:
            return Programmed(self.now, bridge, command.batch, (refusal,))
        errors = tuple(filter(None, (self._apply(bridge, mod) for mod in command.mods)))
        return Programmed(self.now, bridge, command.batch, errors)

    def _apply(self, bridge: BridgeId, mod: FlowMod | MeterMod) -> str | None:
        if isinstance(mod, MeterMod):
            meters = self.meters[bridge]
            if mod.command is MeterModCommand.DELETE:
                meters.pop(mod.meter_id, None)
            elif (mod.command is MeterModCommand.ADD) is (mod.meter_id in meters):
                return f"meter {mod.meter_id}: {mod.command.name} with {sorted(meters)} there"
            else:
                meters[mod.meter_id] = mod
            return None
        flows = self.flows[bridge]
        if mod.command is FlowModCommand.ADD:
            flows[mod.key] = replace(mod, instructions=mod.instructions)
        elif mod.command is FlowModCommand.DELETE_STRICT:
            flows.pop(mod.key, None)
        else:
            for key in [k for k, kept in flows.items() if kept.cookie & mod.cookie_mask == mod.cookie]:
                del flows[key]
        return None
