from dataclasses import replace

from vtrace_ovs.model.profile import (
    GENERIC_PROFILE,
    CookieOwner,
    NamedFlow,
    PipelineProfile,
    Stage,
    StageRule,
    TableRole,
)

ACL = TableRole(40, "acl", Stage.SECURITY)
PROFILE = PipelineProfile("lab", (ACL,), (CookieOwner(0x100, 0xFF00, "rule {index}"), CookieOwner(0, 0, "somebody")))


def test_tables_have_the_role_the_profile_gives_them() -> None:
    assert PROFILE.table(40) is ACL
    assert PROFILE.table(41) is None


def test_the_first_owner_whose_mask_fits_is_named_with_the_index_in_the_cookie() -> None:
    assert PROFILE.owner(0x12A) == "rule 42"
    assert PROFILE.owner(0x200) == "somebody"


def test_the_generic_profile_knows_nothing() -> None:
    assert GENERIC_PROFILE.table(0) is None
    assert GENERIC_PROFILE.owner(0) is None


def test_what_a_database_says_of_a_cookie_comes_before_what_the_table_says() -> None:
    rules = (StageRule("acl", Stage.SECURITY), StageRule("ls_", Stage.FORWARDING))
    said = (NamedFlow(7, "ls_out_acl", "ACL 7"), NamedFlow(8, None, "a port"), NamedFlow(9, "lr_in_x", "a router"))
    profile = replace(PROFILE, stages=rules, named=said)
    assert profile.role(40, 7) == TableRole(40, "ls_out_acl", Stage.SECURITY)
    assert profile.role(40, 9) == TableRole(40, "lr_in_x", Stage.OTHER)
    assert profile.role(40, 8) is profile.role(40, None) is ACL
    assert profile.role(None, 7) is None
    assert (profile.owner(7), profile.owner(0x12A)) == ("ACL 7", "rule 42")
