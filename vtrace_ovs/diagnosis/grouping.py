"""Turns the ways of a task's packets and its result into the group of the result each packet is in."""

from collections.abc import Iterable

from vtrace_ovs.model.trajectory import Origin, Trajectory
from vtrace_ovs.model.verdict import PathGroup, TaskResult


def path_of(trajectory: Trajectory) -> object:
    """Equal for packets that took the same way: same bridges, ports and flows."""
    return tuple(
        (hop.bridge, hop.dscp_mark, hop.in_port, hop.out_port, hop.parent, hop.steps[-1].flow if hop.steps else None)
        for hop in trajectory.hops
    )


def kind_of(way: Trajectory) -> object:
    """Equal for packets that are told apart by their verdicts only: same way, and refusing a connection or not."""
    return path_of(way), refuses(way)


def packets_of(
    ways: Iterable[Trajectory], result: TaskResult | None
) -> tuple[tuple[Trajectory, PathGroup | None], ...]:
    """Each observed way with its group; None without a result, and where packets of one path met several verdicts."""
    by_path: dict[object, list[PathGroup]] = {}
    for group in () if result is None else result.groups:
        by_path.setdefault(kind_of(group.example), []).append(group)
    return tuple((way, _group(way, by_path.get(kind_of(way), []))) for way in ways if way.origin is Origin.OBSERVED)


def _group(way: Trajectory, groups: list[PathGroup]) -> PathGroup | None:
    exact = [group for group in groups if group.example == way]
    found = exact or groups
    return found[0] if len(found) == 1 else None


_RST_ACK = 0x14


def refuses(way: Trajectory) -> bool:
    """Whether this packet refuses a connection: a TCP reset that answers a SYN has number 0 (RFC 9293 §3.10.7.1)."""
    headers = way.hops[0].headers_in if way.hops else None
    return headers is not None and headers.tcp_seq == 0 and (headers.tcp_flags or 0) & _RST_ACK == _RST_ACK
