"""Turns profile TOML, shipped with the tool or written by an operator, into a PipelineProfile."""

import json
import tomllib
from importlib.resources import files
from pathlib import Path

from vtrace_ovs.codecs.toml_places import Place
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.profile import (
    GENERIC_PROFILE,
    CookieOwner,
    CookieSource,
    PipelineProfile,
    Stage,
    StageRule,
    TableRole,
)

MAX_TABLE = 254
MAX_COOKIE = (1 << 64) - 1


def load_profile(name: str) -> PipelineProfile:
    """A profile by name (``profile_names``), or by the path of an operator's own file when it ends in ``.toml``.

    ``generic`` is the profile that knows nothing. Raises CodecError when there is no such profile or it is malformed.
    """
    if name == GENERIC_PROFILE.name:
        return GENERIC_PROFILE
    if name.endswith(".toml"):
        return _from_file(Path(name))
    if name not in profile_names():
        known = ", ".join((GENERIC_PROFILE.name, *profile_names()))
        raise CodecError(f"no pipeline profile {name!r}; known: {known}; or give the path of a .toml file")
    text = files("vtrace_ovs.codecs").joinpath("profiles", f"{name}.toml").read_text(encoding="utf-8")
    return parse_profile(text, f"profile {name}")


def profile_names() -> tuple[str, ...]:
    """The names of the profiles that ship with the tool, sorted."""
    shipped = files("vtrace_ovs.codecs").joinpath("profiles").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in shipped if entry.name.endswith(".toml")))


def _from_file(path: Path) -> PipelineProfile:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise CodecError(f"profile {path}: cannot be read: {wrong}; correct the bridge's vtrace-profile") from wrong
    return parse_profile(text, str(path))


def parse_profile(text: str, source: str = "profile") -> PipelineProfile:
    """Read profile text; ``source`` names it in messages. Raises CodecError that names the wrong key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise CodecError(f"{source}: not TOML: {wrong}") from wrong
    root = Place(document, "", source)
    root.table(frozenset({"name", "tables", "owners", "cookies", "stages"}))
    tables = tuple(_table(entry) for entry in root.require("tables").array())
    numbers = [role.table_id for role in tables]
    if len(set(numbers)) < len(numbers):
        root.require("tables").fail("a table id is given twice")
    return PipelineProfile(
        name=root.require("name").text(),
        tables=tables,
        owners=tuple(_owner(entry) for entry in root.require("owners").array()),
        cookies=None if (cookies := root.optional("cookies")) is None else cookies.member(CookieSource),
        stages=() if (stages := root.optional("stages")) is None else tuple(map(_stage, stages.array())),
    )


def _table(place: Place) -> TableRole:
    place.table(frozenset({"id", "name", "stage"}))
    return TableRole(
        table_id=place.require("id").integer(0, MAX_TABLE),
        name=place.require("name").text(),
        stage=place.require("stage").member(Stage),
    )


def _stage(place: Place) -> StageRule:
    place.table(frozenset({"part", "stage"}))
    return StageRule(place.require("part").text(), place.require("stage").member(Stage))


def _owner(place: Place) -> CookieOwner:
    place.table(frozenset({"cookie", "mask", "owner"}))
    value = place.require("cookie").integer(0, MAX_COOKIE)
    mask = place.require("mask").integer(0, MAX_COOKIE)
    if value & ~mask:
        place.fail("the cookie has bits outside its mask")
    owner = place.require("owner").text()
    try:
        owner.format(index=0)
    except (KeyError, IndexError, ValueError, AttributeError):
        place.require("owner").fail("only {index} may stand in braces")
    return CookieOwner(value, mask, owner)


def profile_text(profile: PipelineProfile) -> str:
    """The TOML that ``parse_profile`` reads as this profile."""
    tables = (
        f"  {{ id = {role.table_id}, name = {_quoted(role.name)}, stage = {_quoted(role.stage.value)} }},"
        for role in profile.tables
    )
    owners = (
        f"  {{ cookie = {owner.value:#018x}, mask = {owner.mask:#018x}, owner = {_quoted(owner.owner)} }},"
        for owner in profile.owners
    )
    stages = (f"  {{ part = {_quoted(rule.part)}, stage = {_quoted(rule.stage.value)} }}," for rule in profile.stages)
    cookies = () if profile.cookies is None else (f"cookies = {_quoted(profile.cookies.value)}",)
    lines = (
        *(f"name = {_quoted(profile.name)}", *cookies, "tables = [", *tables, "]", "owners = [", *owners, "]"),
        *(("stages = [", *stages, "]") if profile.stages else ()),
    )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes, all other characters as they are, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
