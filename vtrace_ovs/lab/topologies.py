"""Turns a topology's name, or the path of a TOML file, into an Overlay."""

from pathlib import Path

import vtrace_ovs
from vtrace_ovs.codecs.overlay_toml import parse_overlay
from vtrace_ovs.errors import LabError
from vtrace_ovs.model.overlay import Overlay

PACKAGE = Path(vtrace_ovs.__file__).parent
DIRECTORIES = (PACKAGE / "_topologies", PACKAGE.parent / "topologies")  # in a wheel; in a source tree
DEFAULT_TOPOLOGY = "vpc"


def load_topology(name: str = DEFAULT_TOPOLOGY) -> Overlay:
    """Read a shipped topology by name, or a file by its path when it ends in ``.toml``.

    Raises LabError when it is not there, CodecError or UsageError when it is wrong.
    """
    path = topology_path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise LabError(f"topology {path}: cannot be read: {wrong}") from wrong
    return parse_overlay(text, path.name)


def topology_path(name: str) -> Path:
    """The file of a topology. Raises LabError when no topology of this name ships with the tool."""
    if name.endswith(".toml"):
        return Path(name)
    for directory in DIRECTORIES:
        if (directory / f"{name}.toml").exists():
            return directory / f"{name}.toml"
    raise LabError(f"no topology {name!r} ships with the tool; give the path of a .toml file")
