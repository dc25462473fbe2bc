"""What a server's datapath does with traffic, beside what the flow tables of its bridges say (dpctl(8))."""

from dataclasses import dataclass

from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import Headers, IPAddress, Tunnel

TunnelEnds = tuple[IPAddress | None, IPAddress | None]
"""Source and destination of the packets around others; None is any."""


@dataclass(frozen=True, slots=True)
class DatapathQuestion:
    """Which datapath flows of a server to look at: those that packets of this filter may meet there.

    ``tunnel`` are the ends of the one they come in; flows of the packets around them, between these ends, are looked at
    too. ``vni`` tells them from another tenant's, None being any; without a tunnel ``macs`` (source and destination)
    do. ``dscps`` are those they have; none is any.
    """

    node: str
    traffic: Filter
    tunnel: TunnelEnds | None = None
    vni: int | None = None
    macs: tuple[str, str] | None = None
    dscps: frozenset[int] = frozenset()

    @staticmethod
    def about(node: str, headers: Headers | None, tunnel: Tunnel | None) -> "DatapathQuestion | None":
        """The question about packets that come into a server with these headers; None where there is no five-tuple."""
        if headers is None or headers.five_tuple is None:
            return None
        traffic = Filter.of(headers.five_tuple)
        if tunnel is None:
            return DatapathQuestion(node, traffic, macs=(headers.eth_src, headers.eth_dst))
        return DatapathQuestion(node, traffic, (tunnel.source, tunnel.destination), tunnel.vni)

    @property
    def outer(self) -> tuple[str, IPAddress | None, IPAddress | None] | None:
        """What all questions about packets between the same two tunnel ends share; None without a tunnel."""
        return None if self.tunnel is None else (self.node, *self.tunnel)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A datapath flow that does less than the flow tables say of the very packets it is for.

    ``megaflow`` is what it matches, ``actions`` what it does, ``told`` what the tables would have it do, all in the
    words of ``dpctl``; ``left_out`` is where it should send packets and does not. ``used_at`` is when it last met a
    packet (Unix seconds). ``outer``: it is about the packets around those asked for, whatever is inside.
    """

    megaflow: str
    actions: str
    told: str
    left_out: tuple[str, ...]
    used_at: float
    outer: bool


@dataclass(frozen=True, slots=True)
class DatapathReading:
    """The answer to a question. ``at`` is when the datapath was read for the first time (Unix seconds).

    ``compared`` flows were held against the tables, of ``unknown`` ones it could not be told what the tables say.
    Both are None where the datapath could not be read. A contradiction was found twice, with time between for
    ovs-vswitchd to bring the datapath in line.
    """

    question: DatapathQuestion
    at: float
    compared: int | None = None
    unknown: int | None = None
    contradictions: tuple[Contradiction, ...] = ()

    def tells_of(self, seen: float | None) -> bool:
        """Whether it was made after a packet was seen."""
        return seen is not None and self.at >= seen

    @property
    def in_line(self) -> bool:
        """Whether the datapath was seen to do what the tables say."""
        return self.compared is not None and not self.unknown and not self.contradictions
