"""Turns the place a verdict blames into who runs it: controllers, OVN, profile, external_ids, VM (idea N11)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from vtrace_ovs.diagnosis.case import seen
from vtrace_ovs.diagnosis.naming import port_name
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.profile import GENERIC_PROFILE
from vtrace_ovs.model.topology import Bridge, BridgeController
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import Culprit, Verdict

MOST_IDS = 8
"""So many pairs of ``external_ids`` are told."""

_WITHOUT_CONTROLLER = {
    "secure": "its flows stay as they are meanwhile (fail_mode secure)",
    "standalone": "without them it may forward like a learning switch (fail_mode standalone)",
}


def with_owners(verdict: Verdict, example: Trajectory, scene: Scene) -> Verdict:
    """The verdict with what an operator needs to know of whom to ask. Tenants are told none of it."""
    culprit = verdict.culprit
    bridge = None if culprit is None or culprit.bridge is None else scene.topology.bridge(culprit.bridge)
    if culprit is None or bridge is None:
        return verdict
    sentences = (
        _who_runs(bridge),
        *_meaning(culprit, bridge, scene),
        *_ids(bridge),
        *_port(culprit, example, scene),
    )
    return replace(verdict, evidence=(*verdict.evidence, *map(seen, sentences)))


def _who_runs(bridge: Bridge) -> str:
    if bridge.southbound is not None:
        return f"{bridge.id} is programmed by ovn-controller, from the southbound database {bridge.southbound}."
    if not bridge.controllers:
        return f"{bridge.id} has no controller in its OVSDB: whoever programs it uses its management socket."
    listed = ", ".join(map(_connection, bridge.controllers))
    alone = (
        ""
        if any(one.connected for one in bridge.controllers)
        else _WITHOUT_CONTROLLER[bridge.fail_mode or "standalone"]
    )
    return f"{bridge.id} is run by {listed}{f'; {alone}' if alone else ''}."


def _connection(controller: BridgeController) -> str:
    role = "" if controller.role is None or not controller.connected else f", role {controller.role}"
    if controller.since is None:
        state = "connected" if controller.connected else "never connected"
    else:
        moment = datetime.fromtimestamp(controller.since, UTC).isoformat(sep=" ", timespec="seconds")
        state = f"{'connected' if controller.connected else 'not connected'} since {moment}"
    return f"{controller.target} ({state}{role})"


def _meaning(culprit: Culprit, bridge: Bridge, scene: Scene) -> Iterator[str]:
    profile = scene.profile(bridge.id)
    known = profile.name != GENERIC_PROFILE.name
    if culprit.owner is not None:
        yield f"By the profile {profile.name} its flow is of {culprit.owner}."
    elif culprit.cookie is not None:
        whose = f"the profile {profile.name} does not say" if known else "there is no profile to say"
        yield f"Whose the flow's cookie {culprit.cookie:#x} is, {whose}."


def _ids(bridge: Bridge) -> Iterator[str]:
    if bridge.external_ids:
        pairs = [f"{key}={value}" for key, value in bridge.external_ids[:MOST_IDS]]
        more = len(bridge.external_ids) - len(pairs)
        yield f"external_ids of {bridge.id}: {', '.join(pairs)}{f', and {more} more' if more else ''}."


def _port(culprit: Culprit, example: Trajectory, scene: Scene) -> Iterator[str]:
    """Whose the port is that the packets were last sent to."""
    hop = example.last
    if hop is None or hop.bridge != culprit.bridge:
        return
    port = scene.places.port(hop.bridge, hop.out_port)
    if port is not None and port.vm is not None:
        tenant = "" if port.tenant is None else f" of tenant {port.tenant}"
        where = port_name(scene, hop.bridge, hop.out_port)
        yield f"{where[0].upper()}{where[1:]} is the port of {port.vm}{tenant}."
