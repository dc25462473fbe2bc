from vtrace_ovs.model.profile import GENERIC_PROFILE, CookieOwner, PipelineProfile, Stage, TableRole

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
