import pytest

from vtrace_ovs.instrumentation.cookies import (
    KIND_SHIFT,
    SOURCE_BIT,
    Cookie,
    CookieKind,
    all_of_ours,
    all_outlets,
    all_sources,
    colors,
    is_ours,
    marks,
)

SOURCES = {CookieKind.COLOR, CookieKind.UNCOLORED}


@pytest.mark.parametrize("kind", CookieKind)
def test_cookies_say_what_a_flow_is_for(kind: CookieKind) -> None:
    cookie = Cookie(255, kind, 511)
    assert cookie.value < 1 << 64
    assert Cookie.of(cookie.value) == cookie
    assert is_ours(cookie.value)


@pytest.mark.parametrize("kind", CookieKind)
def test_masks_select_ours_and_among_them_the_sources(kind: CookieKind) -> None:
    value = Cookie(1, kind).value
    for selected, (wanted, mask) in ((True, all_of_ours()), (kind in SOURCES, all_sources())):
        assert (value & mask == wanted) is selected


@pytest.mark.parametrize("foreign", [0, 0x1020, 0x5653 << 48, 1 << 63])
def test_production_cookies_are_not_ours(foreign: int) -> None:
    assert not is_ours(foreign)
    assert Cookie.of(foreign) is None


def test_kinds_of_a_newer_version_are_ours_but_unknown() -> None:
    newer = 0x5654 << 48 | 0x7F << 32
    assert is_ours(newer)
    assert Cookie.of(newer) is None


def test_sources_are_told_by_one_bit() -> None:
    assert colors(Cookie(7, CookieKind.COLOR, 3).value)
    assert colors(Cookie(7, CookieKind.UNCOLORED, 3).value)
    assert not colors(Cookie(7, CookieKind.MARK).value)
    assert not colors(SOURCE_BIT << KIND_SHIFT), "somebody else's"


def test_packets_get_marks_by_sources_and_as_they_leave_and_one_delete_selects_the_latter() -> None:
    cookie, mask = all_outlets()
    for kind in CookieKind:
        value = Cookie(7, kind, 3).value
        assert (value & mask == cookie) == (kind is CookieKind.LEAVE)
        assert marks(value) == (kind is CookieKind.LEAVE or kind.is_source)
