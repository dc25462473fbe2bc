"""Turns the shipped pipeline profiles into copies that know this overlay's security groups and routes by name."""

from collections.abc import Iterator
from pathlib import Path

from vtrace_ovs.codecs.profiles import load_profile, profile_text
from vtrace_ovs.lab.numbering import CookieKind, cookie
from vtrace_ovs.model.overlay import Overlay
from vtrace_ovs.model.profile import CookieOwner, PipelineProfile

GROUP_MASK = 0xFFFF_FFFF_0000_0000


def named_profile(overlay: Overlay, name: str) -> PipelineProfile:
    """A shipped profile with this overlay's own names before its general ones."""
    shipped = load_profile(name)
    names = tuple(_groups(overlay)) if name == "lab-vswitch" else ()
    return PipelineProfile(shipped.name, shipped.tables, (*names, *shipped.owners))


def _groups(overlay: Overlay) -> Iterator[CookieOwner]:
    for tenant in overlay.tenants:
        for group in tenant.groups:
            value = cookie(CookieKind.SECURITY_RULE, group=group.number)
            yield CookieOwner(value, GROUP_MASK, f"security group {group.name}, rule {{index}}")


def write_profiles(overlay: Overlay, directory: Path) -> dict[str, str]:
    """Write the copies into ``directory``; returns what the bridges' ``vtrace-profile`` says for each profile."""
    paths: dict[str, str] = {}
    for name in ("lab-vswitch", "lab-gateway", "lab-vrouter"):
        path = directory / f"{name}.toml"
        path.write_text(profile_text(named_profile(overlay, name)), encoding="utf-8")
        paths[name] = str(path)
    return paths
