"""Turns a fault of the catalogue into real traffic on a lab that has it, traced, and into what was said of it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from random import Random

from vtrace_ovs.filters import trace_request
from vtrace_ovs.lab.faults.catalogue import CATALOGUE
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.faults.kinds import Symptom
from vtrace_ovs.lab.network import Lab, at_once
from vtrace_ovs.lab.traffic import DEFAULT_SIZE, TrafficProtocol, TrafficReport, TrafficRequest
from vtrace_ovs.model.packet import IPAddress, IpFamily, family_of
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.verdict import CauseCode, Disposition, Verdict
from vtrace_ovs.pytest_plugin import Tracer

PORTS = {TrafficProtocol.ICMP: None, TrafficProtocol.TCP: 443, TrafficProtocol.UDP: 5000, TrafficProtocol.SCTP: 5000}
FILTERED_BY_PORT = (TrafficProtocol.TCP, TrafficProtocol.UDP)
WORDS = {
    IpFamily.IPV4: ({protocol: protocol.value for protocol in PORTS}, "nw"),
    IpFamily.IPV6: ({protocol: f"{protocol.value}6" for protocol in PORTS}, "ipv6"),
}
PACKETS = 5
TRACE_TIME = 5
DEFAULT_TOPOLOGY = "vpc"
SLOWEST = 0.7
ANSWERED_WITHIN = 0.5
"""Seconds: so long every sender without answers takes to end."""
DISCARD = 9
UNDECIDED = frozenset({CauseCode.UNKNOWN, CauseCode.EVIDENCE_LOST, CauseCode.UNSUPPORTED})


class Judgement(Enum):
    """What a verdict is worth: ``WRONG`` must never be."""

    RIGHT = "right"
    UNKNOWN = "unknown"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Case:
    """Traffic of one protocol and family that suffers from a fault; of ``fault`` None, healthy traffic."""

    fault: FaultName | None
    symptom: Symptom
    protocol: TrafficProtocol
    family: IpFamily

    def __str__(self) -> str:
        name = "healthy" if self.fault is None else self.fault.value
        return f"{name}, {self.protocol.value} over {self.family.name}"

    def request(self, lab: Lab) -> TraceRequest:
        """The trace of this traffic."""
        return trace_request(
            self.filter_text(lab), packet_count=self.packets, trace_time=TRACE_TIME, source_vm=self.symptom.source
        )

    @property
    def packets(self) -> int:
        """How many are traced."""
        return self.symptom.packets or PACKETS

    def filter_text(self, lab: Lab) -> str:
        """What an operator would type."""
        words, prefix = WORDS[self.family]
        source = self._of_family(self.symptom.sent_from) or lab.address(self.symptom.source, self.family)
        destination = self._of_family(self.symptom.addresses) or lab.address(self.symptom.destination, self.family)
        # A sender that was ended may still repeat what was not acknowledged: what is never sent has its own port.
        number = PORTS[self.protocol] if self.symptom.rate else DISCARD
        port = f",tp_dst={number}" if self.protocol in FILTERED_BY_PORT else ""
        return f"{words[self.protocol]},{prefix}_src={source},{prefix}_dst={destination}{port}"

    def traffic(self, random: Random) -> TrafficRequest:
        """Traffic of a pace of its own, until stopped."""
        return TrafficRequest(
            self.symptom.source,
            self.symptom.destination,
            self.protocol,
            PORTS[self.protocol],
            rate=self.symptom.rate * random.uniform(SLOWEST, 1),
            count=0,
            timeout=ANSWERED_WITHIN,
            listen=self.symptom.listen,
            address=self._of_family(self.symptom.addresses),
            family=self.family,
            size=self.symptom.size or DEFAULT_SIZE,
        )

    def _of_family(self, addresses: Iterable[IPAddress]) -> IPAddress | None:
        return next((address for address in addresses if family_of(address) is self.family), None)

    def fault_there(self, name: FaultName) -> Fault:
        """The fault where this traffic meets it."""
        return Fault(
            name,
            vm=self.symptom.vm,
            protocol=self.protocol.value,
            port=PORTS[self.protocol],
            server=self.symptom.server,
            family=self.family,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case and what was said of it. ``report`` is what both ends of its traffic counted; None where none was sent."""

    case: Case
    verdict: Verdict
    reply: Verdict | None = None
    report: TrafficReport | None = None

    @property
    def place(self) -> str | None:
        """The bridge that is blamed."""
        culprit = self.verdict.culprit
        return None if culprit is None or culprit.bridge is None else str(culprit.bridge)

    @property
    def table(self) -> int | None:
        """The table that is blamed."""
        return None if self.verdict.culprit is None else self.verdict.culprit.table_id

    @property
    def judgement(self) -> Judgement:
        """Right is the very cause at the very place; that healthy traffic's fate is not known counts as wrong."""
        wanted = self.case.symptom
        got = (self.verdict.disposition, self.verdict.code, self.place, self.table)
        reply = wanted.reply_code in {None, None if self.reply is None else self.reply.code}
        if got == (wanted.disposition, wanted.code, wanted.place, wanted.table) and reply:
            return Judgement.RIGHT
        open_end = self.verdict.disposition is Disposition.INCONCLUSIVE or self.verdict.code in UNDECIDED
        return Judgement.UNKNOWN if open_end and wanted.disposition is not Disposition.DELIVERED else Judgement.WRONG


def cases(name: FaultName, symptom: Symptom) -> list[list[Case]]:
    """The cases of one symptom, those that can be tried at once together."""
    single = [Case(name, symptom, protocol, family) for protocol in symptom.protocols for family in symptom.families]
    return [[case] for case in single] if CATALOGUE[name].selective or symptom.both else [single]


FINE = Symptom(CauseCode.NONE, Disposition.DELIVERED, None)
HEALTHY = (
    FINE,
    replace(FINE, topology="nat", source="web1", destination="db1"),
    replace(FINE, topology="leaf-spine"),
    replace(FINE, topology="leaf-spine", destination="blue-web2", packets=20),
    replace(FINE, topology="gateways", source="web1", destination="db1"),
)
"""Traffic that nothing is wrong with, one symptom per topology."""


def healthy_cases(symptom: Symptom) -> list[Case]:
    """Healthy traffic in every protocol and family."""
    return [Case(None, symptom, protocol, family) for protocol in symptom.protocols for family in symptom.families]


def topologies() -> list[str]:
    """Those that faults are tried on, the default one first."""
    symptoms = [*HEALTHY, *(symptom for kind in CATALOGUE.values() for symptom in kind.symptoms)]
    return list(dict.fromkeys(symptom.topology for symptom in symptoms))


def trials(topology: str) -> list[list[Case]]:
    """Everything there is to try on the lab of a topology; each list is tried at once."""
    faulty = [
        together
        for name, kind in CATALOGUE.items()
        for symptom in kind.symptoms
        if symptom.topology == topology
        for together in cases(name, symptom)
    ]
    return [*faulty, *(healthy_cases(symptom) for symptom in HEALTHY if symptom.topology == topology)]


def leads(together: Sequence[Case]) -> bool:
    """Whether these are the first to meet their fault on the default topology."""
    first = together[0]
    if first.fault is None:
        return False
    symptom = next((one for one in CATALOGUE[first.fault].symptoms if one.topology == DEFAULT_TOPOLOGY), None)
    return symptom is not None and first == Case(first.fault, symptom, symptom.protocols[0], symptom.families[0])


def outcomes(lab: Lab, tracer: Tracer, together: Sequence[Case], seed: int) -> list[Outcome]:
    """Trace cases at once; those of a fault on the lab that has it, which is healed afterwards."""
    with broken(lab, together):
        return traced(lab, tracer, together, seed)


def broken(lab: Lab, together: Sequence[Case]) -> AbstractContextManager[object]:
    """The lab with the fault of these cases, if they have one, for the length of the block."""
    first = together[0]
    return nullcontext() if first.fault is None else lab.faults.injected(first.fault_there(first.fault))


def traced(lab: Lab, tracer: Tracer, together: Sequence[Case], seed: int) -> list[Outcome]:
    """Send the traffic of these cases and trace it, all at once, on the lab as it is."""
    if together[0].symptom.underlay:
        tracer = replace(tracer, ovsdb=(*tracer.ovsdb, *lab.state().underlay_remotes))
    with _sending(lab, together, Random(seed)) as reports:  # noqa: S311 - paces, no secrets
        found = _judged(tracer, lab, together)
    return [replace(outcome, report=reports.get(outcome.case)) for outcome in found]


def _judged(tracer: Tracer, lab: Lab, together: Sequence[Case]) -> list[Outcome]:
    if together[0].symptom.both:
        (case,) = together
        exchange = tracer.trace_both(
            case.filter_text(lab), packet_count=case.packets, trace_time=TRACE_TIME, source_vm=case.symptom.source
        )
        return [Outcome(case, exchange.verdict, None if exchange.reply is None else exchange.reply.verdict)]
    results = tracer.trace_all([case.request(lab) for case in together])
    return [Outcome(case, result.verdict) for case, result in zip(together, results, strict=True)]


@contextmanager
def _sending(lab: Lab, together: Sequence[Case], random: Random) -> Iterator[dict[Case, TrafficReport]]:
    """Started and stopped at once: what gets no answer takes its time to end. The reports are there at the end."""
    senders = [case for case in together if case.symptom.rate]
    numbers = at_once([partial(lab.traffic.start, case.traffic(random)) for case in senders])
    reports: dict[Case, TrafficReport] = {}
    try:
        yield reports
    finally:
        found = at_once([partial(lab.traffic.stop, number) for number in numbers])
        reports.update(zip(senders, found, strict=True))
