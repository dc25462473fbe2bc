from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.profiles import load_profile, parse_profile, profile_names, profile_text
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.profile import GENERIC_PROFILE, CookieOwner, PipelineProfile, Stage, TableRole

TEXT = """
name = "mine"
tables = [{ id = 3, name = "acl", stage = "security" }]
owners = [{ cookie = 0x5300, mask = 0xff00, owner = "rule {index}" }]
"""


def test_the_profiles_that_ship_can_all_be_loaded() -> None:
    assert profile_names() == ("lab-gateway", "lab-vrouter", "lab-vswitch", "ovn")
    for name in profile_names():
        assert load_profile(name).name == name


def test_generic_is_the_profile_that_knows_nothing() -> None:
    assert load_profile("generic") is GENERIC_PROFILE


def test_the_labs_tables_say_what_they_decide() -> None:
    vswitch, vrouter = load_profile("lab-vswitch"), load_profile("lab-vrouter")
    assert vswitch.table(40) == TableRole(40, "security-group-ingress", Stage.SECURITY)
    assert vswitch.table(15) == TableRole(15, "rate-limit", Stage.RATE_LIMIT)
    assert vrouter.table(10) == TableRole(10, "routing", Stage.ROUTING)
    assert vswitch.owner(0x1AB0_05_02_00000003) == "security group 2, rule 3"
    assert vswitch.owner(0x1AB0_06_00_00000000) == "security group default deny"
    assert vrouter.owner(0x1AB0_09_00_00000002) == "route 2"
    assert vswitch.owner(0x5354) is None


def test_an_operators_own_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    profile = load_profile(str(path))
    assert profile.tables == (TableRole(3, "acl", Stage.SECURITY),)
    assert profile.owner(0x5307) == "rule 7"


def test_a_name_nobody_knows_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(CodecError, match="known: generic, lab-gateway"):
        load_profile("mystery")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match=r"gone\.toml: cannot be read"):
        load_profile(str(tmp_path / "gone.toml"))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('stage = "security"', 'stage = "magic"', r"tables\[0\].stage: 'magic' is none of classify"),
        ("id = 3", "id = 255", r"tables\[0\].id"),
        ("cookie = 0x5300", "cookie = 0x5301", r"owners\[0\]: the cookie has bits outside its mask"),
        ("{index}", "{name}", r"owners\[0\].owner: only {index}"),
        ("{index}", "{", r"owners\[0\].owner: only {index}"),
        ("owners", "owner", "unknown key 'owner'"),
        ("tables = [", 'tables = [{ id = 3, name = "x", stage = "other" },', "a table id is given twice"),
        ("name = ", "= ", "not TOML"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(old: str, new: str, place: str) -> None:
    with pytest.raises(CodecError, match=place):
        parse_profile(TEXT.replace(old, new, 1))


@given(
    st.builds(
        PipelineProfile,
        name=st.text("abc-", min_size=1, max_size=8),
        tables=st.lists(
            st.builds(TableRole, st.integers(0, 254), st.text(min_size=1, max_size=8), st.sampled_from(Stage)),
            unique_by=lambda role: role.table_id,
            max_size=4,
        ).map(tuple),
        owners=st.lists(
            st.integers(0, 2**64 - 1).flatmap(
                lambda mask: st.builds(
                    lambda bits, owner: CookieOwner(bits & mask, mask, owner),
                    st.integers(0, 2**64 - 1),
                    st.sampled_from(["rule {index}", 'group "a\\b"', "ä"]),
                )
            ),
            max_size=4,
        ).map(tuple),
    )
)
def test_the_text_of_a_profile_reads_back_as_that_profile(profile: PipelineProfile) -> None:
    assert parse_profile(profile_text(profile)) == profile
