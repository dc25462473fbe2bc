"""Turns visits of successive hop indexes into trees: which branch of which VFD led to which visit."""

from collections.abc import Iterator
from dataclasses import dataclass

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.places import NOWHERE, Places
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.trajectories.visits import VFD, Branch, Visit, left_by_vni, may_become

_WIRE = frozenset({0})
"""How much of its TTL a packet loses between two VFDs."""
Levels = dict[int, list[Visit]]


def link(levels: Levels, places: Places) -> list[Visit]:
    """Attach every visit to the branch it came by; returns the roots, first seen first.

    Tries, in this order: a branch that leads here by tunnel endpoint and VNI or by patch port; a visit of the hop
    before whose ``out`` is missing; an inferred hop where the topology leaves only one; a gap. Never joins what
    differs in tenant or VNI.
    """
    roots: list[Visit] = list(levels.get(1, ()))
    for mark in sorted(levels):
        if mark == 1:
            continue
        # Those with an ``in`` name their tunnel and choose first; the others take what is left.
        arrivals = levels[mark]
        if len(arrivals) > 1:
            arrivals = sorted(arrivals, key=lambda visit: (visit.arrival is None, visit.at))
        before = levels.get(mark - 1, [])
        for visit in arrivals:
            if _by_branch(visit, arrivals, before, places) or _by_lost_departure(visit, before, places):
                continue
            if not _across_gap(visit, levels, places):
                roots.append(_with_proven_source(visit, places))
    if len(roots) > 1:
        roots.sort(key=_at)
    return roots


def _at(visit: Visit) -> float:
    return visit.at


def _may_be_one(origin: Visit, visit: Visit, places: Places) -> bool:
    """Whether nothing tells the tenants of two visits apart. Where nobody names them, different VNIs do."""
    if origin.tenant is not None and visit.tenant is not None:
        return origin.tenant == visit.tenant
    mine, theirs = _vni(origin, places), _vni(visit, places)
    return mine is None or theirs is None or mine == theirs


def _vni(visit: Visit, places: Places) -> int | None:
    """The VNI a packet came in by; without an ``in``, the one it left by is the best there is."""
    if visit.tunnel is not None:
        return visit.tunnel.vni
    port = places.port(visit.bridge, visit.in_port)
    if visit.arrival is None and visit.branches and (port is None or port.vni is None):
        return left_by_vni(visit.bridge, visit.branches[0], places)
    return None if port is None else port.vni


def _leads_to(visit: Visit, branch: Branch, places: Places) -> bool:
    """Whether what left by this branch can be what arrived: same tunnel, or the other end of the patch."""
    if branch.out_port is None:
        if branch.is_drop:
            return False
        origin = branch.record.bridge if branch.record is not None else None
        return any(source == origin for source, _ in places.sources(visit.bridge, visit.in_port, visit.tunnel))
    if visit.tunnel is not None:
        if not _same_tunnel(visit.tunnel, branch, places):
            return False
        if branch.onward.destination is None:
            return True
    if visit.in_port is None:
        return any(bridge == visit.bridge for bridge, _ in branch.onward.arrivals)
    return (visit.bridge, visit.in_port) in branch.onward.arrivals


def _same_tunnel(tunnel: Tunnel, branch: Branch, places: Places) -> bool:
    """No wire changes the VNI, and the outer source is the server that sent."""
    if branch.tunnel is None or branch.tunnel.vni != tunnel.vni:
        return False
    node = places.node_of_vtep(tunnel.source)
    return node is None or branch.record is None or node == branch.record.bridge.node


def _free(branch: Branch, visit: Visit) -> bool:
    """One output arrives once; only an output without a known port (NORMAL, a group) may arrive at several VFDs."""
    if branch.out_port is not None:
        return not branch.children
    return all(child.bridge != visit.bridge or child.in_port != visit.in_port for child in branch.children)


def _by_branch(visit: Visit, arrivals: list[Visit], before: list[Visit], places: Places) -> bool:
    found: list[tuple[Visit, Branch]] = []
    for origin in before:
        for branch in origin.branches:
            if (branch.children and not _free(branch, visit)) or not _leads_to(visit, branch, places):
                continue
            # Same VNI at both ends of one wire says more than whose the ports are: a leak between tenants looks so.
            if (visit.tunnel is not None and branch.tunnel is not None) or _may_be_one(origin, visit, places):
                found.append((origin, branch))
    if not found:
        return False
    origin, branch = found[0] if len(found) == 1 else _likeliest(visit, found, arrivals)
    _attach(visit, origin, branch)
    return True


def _likeliest(visit: Visit, found: list[tuple[Visit, Branch]], arrivals: list[Visit]) -> tuple[Visit, Branch]:
    """Of several branches that lead to a visit, the one it came by, as far as that can be told."""
    fitting = [pair for pair in found if may_become(pair[1].record, visit.arrival, _WIRE)]
    if fitting:
        found, arrivals = fitting, [one for one in arrivals if may_become(visit.arrival, one.arrival, _WIRE)]
    if len(found) == 1 or _unlinked_beside(visit, arrivals) >= len(found):
        return found[0]
    for twin, _ in found:
        twin.ambiguous = True
    return min(found, key=lambda pair: abs(visit.at - pair[0].at))


def _unlinked_beside(visit: Visit, arrivals: list[Visit]) -> int:
    """How many came to the same place, and from nowhere so far; the visit is one of them."""
    return sum(not one.linked and one.bridge == visit.bridge and one.in_port == visit.in_port for one in arrivals)


def _attach(visit: Visit, origin: Visit, branch: Branch) -> None:
    branch.children += (visit,)
    visit.linked = True
    if visit.tenant is None:
        visit.tenant = origin.tenant


def _by_lost_departure(visit: Visit, before: list[Visit], places: Places) -> bool:
    """The hop before was seen, but not how it left: this visit proves that it did (idea N3)."""
    sources = dict(places.sources(visit.bridge, visit.in_port, visit.tunnel))
    found = [
        origin
        for origin in before
        if origin.bridge in sources and _may_be_one(origin, visit, places) and not _already_there(origin, visit)
    ]
    if not found:
        return False
    found = [origin for origin in found if may_become(origin.arrival, visit.arrival, VFD)] or found
    # A packet without any end fits best; one that was already seen leaving elsewhere, or dropped, least.
    origin = min(found, key=lambda one: (len(one.branches), abs(visit.at - one.at)))
    if sum(not one.branches for one in found) > 1 or origin.branches:
        for twin in found:
            twin.ambiguous = True
    _attach(visit, origin, _proven_branch(origin, visit, sources[origin.bridge], places))
    return True


def _already_there(origin: Visit, visit: Visit) -> bool:
    """Whether the packet of ``origin`` arrived at this very place already, so that ``visit`` is a twin's."""
    return any(
        child.bridge == visit.bridge and child.in_port == visit.in_port
        for branch in origin.branches
        for child in branch.children
    )


def _proven_branch(origin: Visit, visit: Visit, out_port: int, places: Places) -> Branch:
    branch = Branch(None, out_port, visit.tunnel, places.onward(origin.bridge, out_port, visit.tunnel))
    origin.branches += (branch,)
    return branch


def _across_gap(visit: Visit, levels: Levels, places: Places) -> bool:
    """No record at all of the hop before: infer it where only one VFD can be it, else leave a gap in the indexes."""
    sources = places.sources(visit.bridge, visit.in_port, visit.tunnel)
    for mark in range(visit.mark - 2, 0, -1):
        one_missing = mark == visit.mark - 2
        found: list[_Crossing] = []
        for origin in levels.get(mark, []):
            if _may_be_one(origin, visit, places):
                found.extend(_crossings(origin, visit, sources if one_missing else ()))
        if found:
            _cross(visit, found, places)
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Crossing:
    """A way over missing hops. ``between`` are the VFDs (ingress port, egress port) the one missing hop can be."""

    origin: Visit
    branch: Branch | None
    between: tuple[tuple[BridgeId, int, int], ...]


def _crossings(origin: Visit, visit: Visit, sources: tuple[tuple[BridgeId, int], ...]) -> Iterator[_Crossing]:
    if not origin.branches:
        yield _Crossing(origin, None, ())
    for branch in origin.branches:
        if branch.is_drop or not _free(branch, visit):
            continue
        between = tuple(
            (bridge, in_port, out_port)
            for bridge, in_port in branch.onward.arrivals
            for source, out_port in sources
            if source == bridge
        )
        if between or not sources or branch.out_port is None:
            yield _Crossing(origin, branch, between)


def _cross(visit: Visit, found: list[_Crossing], places: Places) -> None:
    best = min(found, key=lambda one: (not one.between, abs(visit.at - one.origin.at)))
    if len(found) > 1:
        for twin in found:
            twin.origin.ambiguous = True
    branch = best.branch
    if branch is None:
        branch = Branch(None, None, None, NOWHERE)
        best.origin.branches += (branch,)
    if len(best.between) != 1:
        _attach(visit, best.origin, branch)
        return
    bridge, in_port, out_port = best.between[0]
    between = Visit(bridge, visit.mark - 1, in_port, visit.at)
    between.tunnel = branch.tunnel
    _attach(between, best.origin, branch)
    _attach(visit, between, _proven_branch(between, visit, out_port, places))


def _with_proven_source(visit: Visit, places: Places) -> Visit:
    """The root of a visit nothing leads to: the VFD before it, where the topology leaves only one."""
    sources = places.sources(visit.bridge, visit.in_port, visit.tunnel)
    if len(sources) != 1:
        return visit
    bridge, out_port = sources[0]
    root = Visit(bridge, visit.mark - 1, None, visit.at)
    root.tenant = visit.tenant
    _attach(visit, root, _proven_branch(root, visit, out_port, places))
    return root
