"""Turns one packet's observed and predicted way into a Verdict."""

from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import Verdict


def diagnose(observed: Trajectory, predicted: Trajectory | None, scene: Scene) -> Verdict:
    """What became of a packet and why. ``predicted`` is the walk of the same packet through the stored tables."""
    raise NotImplementedError
