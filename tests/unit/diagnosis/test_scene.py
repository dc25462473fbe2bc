from dataclasses import replace

from vtrace_ovs.diagnosis.scene import MeterReading, Scene, TracedCount
from vtrace_ovs.model.flow import MeterEntry
from vtrace_ovs.model.profile import GENERIC_PROFILE
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import BridgeId

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")


def test_a_bridge_without_a_profile_has_the_generic_one(scene: Scene) -> None:
    assert scene.profile(CS1).name == "lab"
    assert scene.profile(BridgeId("x", "y")) is GENERIC_PROFILE


def test_missing_copies_are_known_queue_loss_or_counted_but_not_logged(scene: Scene) -> None:
    lossy = replace(
        scene,
        copies_lost={CS1: 2},
        traced=(TracedCount(CS1, Loc.IN, 9, 9), TracedCount(CS1, Loc.OUT, 9, 4), TracedCount(CS2, Loc.OUT, 3, 5)),
    )
    assert lossy.missing_copies(CS1, Loc.IN) == 2
    assert lossy.missing_copies(CS1, Loc.OUT) == 5
    assert lossy.missing_copies(CS2, *Loc) == 0
    assert lossy.total_copies_lost == 5


def test_a_meter_is_found_by_bridge_and_id(scene: Scene) -> None:
    reading = MeterReading(CS1, MeterEntry(7, 10, 5, packets=True), 60, 41)
    metered = replace(scene, meters=(reading,))
    assert metered.meter(CS1, 7) is reading
    assert metered.meter(CS2, 7) is None
    assert metered.meter(CS1, 8) is None
