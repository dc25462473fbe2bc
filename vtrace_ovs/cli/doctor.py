"""Turns this machine into a list of what tracing and the lab need, each there or missing with its remedy.

Nothing is changed: no file is made, no bridge is configured, no OpenFlow message is sent.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vtrace_ovs.cli.console import emit, emit_text
from vtrace_ovs.cli.exit_codes import ExitCode
from vtrace_ovs.cli.inventory import ovsdb_of
from vtrace_ovs.cli.options import Format, FormatOption, OvsdbOption
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.rendering.checks import Check, Need, check_lines, checks_document, missing

if TYPE_CHECKING:
    from vtrace_ovs.ovsdb.client import TlsFiles

_TIMEOUT = 2.0
_OLDEST_PYTHON = (3, 11)
_FRAMEWORKS = (("ryu", "ryu"), ("os_ken", "os-ken"))
_LAB_PACKAGES = ("mininet", "scapy")
_KERNEL_MODULE = Path("/sys/module/openvswitch")


def register(app: typer.Typer) -> None:
    """Add ``vtrace doctor``."""
    app.command("doctor")(doctor)


def doctor(ovsdb: OvsdbOption = None, output: FormatOption = Format.TREE) -> None:
    """Say what works here and what does not, with the remedy. Changes nothing."""
    settings = read_settings()
    checks = tuple(examine(settings.database, ovsdb_of(settings, ovsdb), settings.tls))
    if output is Format.JSON:
        emit_text(checks_document(checks))
    else:
        emit(check_lines(checks))
    raise typer.Exit(ExitCode.INFRASTRUCTURE if missing(checks, Need.TRACING) else ExitCode.DELIVERED)


def examine(database: str, connections: tuple[str, ...], tls: "TlsFiles | None" = None) -> Iterator[Check]:
    """Every check of a database's place, of OVSDB servers and of this machine."""
    yield _python()
    yield _framework()
    yield database_check(database)
    yield _openvswitch()
    for connection in connections:
        yield from ovsdb_checks(connection, _TIMEOUT, tls)
    yield _root()
    yield _kernel_module()
    yield from (_program(program, package) for program, package in _lab_programs())
    yield from (_lab_package(package) for package in _LAB_PACKAGES)


def _python() -> Check:
    ok = sys.version_info >= _OLDEST_PYTHON
    return Check("python", Need.TRACING, ok, sys.version.split()[0], "install Python 3.11 or newer")


def _framework() -> Check:
    found = [f"{package} {_version(package)}" for module, package in _FRAMEWORKS if find_spec(module) is not None]
    remedy = "pip install os-ken, or vtrace-ovs[ryu] where Python is older than 3.12"
    return Check("openflow", Need.TRACING, bool(found), ", ".join(found) or "neither Ryu nor os-ken", remedy)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def database_check(place: str) -> Check:
    """Whether a database file could be written; one behind a URL is only named."""
    if "://" in place:
        return Check("database", Need.TRACING, ok=True, found="a server, not asked yet")
    path = Path(place)
    nearest = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    usable = os.access(nearest, os.W_OK) and (nearest == path) != nearest.is_dir()
    remedy = "set VTRACE_DATABASE to a file in a directory you may write to"
    return Check("database", Need.TRACING, usable, f"{place}{'' if usable else ' cannot be written'}", remedy)


def _openvswitch() -> Check:
    remedy = "apt-get install openvswitch-switch, or trace other servers with VTRACE_OVSDB=tcp:HOST:6640"
    program = shutil.which("ovs-vsctl")
    if program is None:
        return Check("ovs-vsctl", Need.LAB, ok=False, found="not on PATH", remedy=remedy)
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    first_line = answer.stdout.partition("\n")[0] or answer.stderr.strip() or "no answer"
    return Check("ovs-vsctl", Need.LAB, answer.returncode == 0, first_line, remedy)


def ovsdb_checks(connection: str, timeout: float, tls: "TlsFiles | None" = None) -> Iterator[Check]:
    """Whether an OVSDB server answers, and whether ovs-vswitchd does for each of its bridges."""
    from vtrace_ovs.codecs.ovsdb_rows import attach_obstacle  # noqa: PLC0415 - keeps --help quick
    from vtrace_ovs.ovsdb.inventory import read_inventory  # noqa: PLC0415 - as above
    from vtrace_ovs.ovsdb.liveness import probe  # noqa: PLC0415 - as above

    remedy = "start ovsdb-server, name the servers to trace on with VTRACE_OVSDB, or try a lab: vtrace lab up"
    try:
        inventory = read_inventory((connection,), timeout, tls)
    except OvsdbError as error:
        yield Check("ovsdb", Need.TRACING, ok=False, found=str(error), remedy=remedy)
        return
    bridges = inventory.topology.bridges
    yield Check("ovsdb", Need.TRACING, ok=True, found=f"{connection}, {len(bridges)} bridges")
    for problem in inventory.problems:
        yield Check("inventory", Need.ADVICE, ok=False, found=problem)
    for bridge in bridges:
        answer = probe(bridge, timeout, tls)
        remedy = "start ovs-vswitchd, and run as a user who may open its sockets"
        yield Check("bridge", Need.TRACING, answer.alive, answer.reason, remedy)
    for bridge in inventory.topology.vfds():
        obstacle = attach_obstacle(inventory.topology, bridge)
        if obstacle is not None:
            yield Check("bridge", Need.TRACING, ok=False, found=obstacle)


def _root() -> Check:
    user = os.geteuid()
    found = "root" if user == 0 else f"user {user}"
    return Check("user", Need.LAB, user == 0, found, "run as root: the lab makes network namespaces")


def _kernel_module() -> Check:
    loaded = _KERNEL_MODULE.exists()
    found = "openvswitch is loaded" if loaded else "openvswitch is not loaded: the lab uses the userspace datapath"
    return Check("kernel", Need.ADVICE, ok=True, found=found)


def _lab_programs() -> tuple[tuple[str, str], ...]:
    from vtrace_ovs.lab.preconditions import PROGRAMS  # noqa: PLC0415 - keeps --help quick

    return tuple(PROGRAMS.items())


def _program(program: str, package: str) -> Check:
    place = shutil.which(program)
    return Check(program, Need.LAB, place is not None, place or "not on PATH", f"apt-get install {package}")


def _lab_package(package: str) -> Check:
    there = find_spec(package) is not None
    found = _version(package) if there else "not installed"
    return Check(package, Need.LAB, there, found, "pip install vtrace-ovs[lab]")
