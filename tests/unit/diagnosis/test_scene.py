from dataclasses import replace

from vtrace_ovs.diagnosis.scene import CopyTally, MeterReading, Scene
from vtrace_ovs.model.flow import MeterEntry
from vtrace_ovs.model.profile import GENERIC_PROFILE
from vtrace_ovs.model.topology import BridgeId

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")


def test_a_bridge_without_a_profile_has_the_generic_one(scene: Scene) -> None:
    assert scene.profile(CS1).name == "lab"
    assert scene.profile(BridgeId("x", "y")) is GENERIC_PROFILE


def test_copies_capped_lost_on_their_way_or_in_full_queues_are_missing(scene: Scene) -> None:
    lossy = replace(scene, copies_capped={CS1: 2}, copies={CS1: CopyTally(9, 5), CS2: CopyTally(3)})
    assert (lossy.missing_copies(CS1), lossy.missing_copies(CS2)) == (7, 0)
    assert lossy.total_copies_lost == 7
    full = replace(lossy, overflowed={CS1.node: 6, CS2.node: 1})  # five of the six are the ones that never came
    assert (full.missing_copies(CS1), full.missing_copies(CS2)) == (8, 1)
    assert full.total_copies_lost == 9


def test_all_copies_came_unless_one_is_missing_or_could_not_be_counted(scene: Scene) -> None:
    assert replace(scene, copies={CS1: CopyTally(9)}).all_came
    assert not replace(scene, copies={CS1: CopyTally(9, 1)}).all_came
    assert not replace(scene, uncounted={CS1: ((1.0, 2.0),)}).all_came


def test_a_meter_is_found_by_bridge_and_id(scene: Scene) -> None:
    reading = MeterReading(CS1, MeterEntry(7, 10, 5, packets=True), 60, 41)
    metered = replace(scene, meters=(reading,))
    assert metered.meter(CS1, 7) is reading
    assert metered.meter(CS2, 7) is None
    assert metered.meter(CS1, 8) is None
