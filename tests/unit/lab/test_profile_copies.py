from pathlib import Path

from vtrace_ovs.codecs.profiles import load_profile
from vtrace_ovs.lab.profile_copies import named_profile, write_profiles
from vtrace_ovs.model.overlay import Overlay


def test_a_copy_calls_security_groups_by_name(overlay: Overlay) -> None:
    profile = named_profile(overlay, "lab-vswitch")
    assert profile.owner(0x1AB0_05_02_00000003) == "security group db, rule 3"
    assert profile.owner(0x1AB0_05_03_00000001) == "security group default, rule 1"
    assert profile.owner(0x1AB0_06_00_00000000) == "security group default deny"


def test_the_copies_can_be_loaded_by_the_path_the_bridges_name(overlay: Overlay, tmp_path: Path) -> None:
    for name, path in write_profiles(overlay, tmp_path).items():
        assert load_profile(path) == named_profile(overlay, name)
