"""The house rules about files: where they are, what they are called, how long they are."""

import ast
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vtrace_ovs"
TREES = ("vtrace_ovs", "tests", "benchmarks", "migrations", "mininet")
SOURCES = sorted(path.relative_to(ROOT) for tree in TREES for path in (ROOT / tree).rglob("*.py"))
MODULES = [path.relative_to("vtrace_ovs") for path in SOURCES if path.parts[0] == "vtrace_ovs"]
ROOMS = frozenset({"vtrace_ovs", "topologies", "mininet", "migrations", "tests", "docs", "benchmarks"})
PAPERS = frozenset({"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml"})
LOCKS = frozenset({"requirements.lock", "requirements-build.txt"})
MOST_LINES = 400
MEANINGLESS = frozenset("util utils helper helpers manager managers info data misc common".split())  # noqa: SIM905 - a word list
MININET = frozenset("clean cli examples link log moduledeps net node nodelib term topo topolib util".split())  # noqa: SIM905 - as above
WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")

# Edges are judged by what they talk to: Open vSwitch, Ryu, Mininet, a shell.
TESTED_ELSEWHERE = {
    "__init__.py": "tests/unit/test_package.py",
    "__main__.py": "tests/functional/test_command_line.py",
    "cli/demo.py": "tests/emulation/test_demo.py",
    "cli/naming.py": "tests/emulation/test_ovn_tracing.py",
    "cli/remote_tables.py": "tests/functional/test_explain_remote_bridges.py",
    "cli/running.py": "tests/emulation/test_tracing_frameworks.py",
    "cli/tracing.py": "tests/emulation/test_tracing_bad_input.py",
    "controller/cleaning.py": "tests/functional/test_controller_remote_bridges.py",
    "controller/dialogue.py": "tests/functional/test_controller_remote_bridges.py",
    "controller/flood_ports.py": "tests/functional/test_explain_switching.py",
    "controller/links.py": "tests/functional/test_controller_remote_bridges.py",
    "controller/listener.py": "tests/functional/test_controller_remote_bridges.py",
    "controller/reception.py": "tests/functional/test_controller_remote_bridges.py",
    "controller/remote_dialogues.py": "tests/functional/test_controller_remote_bridges.py",
    "controller/settings.py": "tests/unit/controller/test_app.py",
    "instrumentation/branches.py": "tests/unit/instrumentation/test_spread.py",
    "cli/stats.py": "tests/emulation/test_counting.py",
    "session/alternation.py": "tests/unit/session/test_alternator.py",
    "session/brakes.py": "tests/unit/session/test_turns.py",
    "controller/underlay.py": "tests/emulation/test_postcards.py",
    "model/postcard.py": "tests/unit/diagnosis/test_underlay.py",
    "model/datapath.py": "tests/unit/diagnosis/test_datapath.py",
    "lab/daemons.py": "tests/functional/test_ovs_sandbox.py",
    "lab/faults/datapaths.py": "tests/emulation/test_fault_verdicts.py",
    "lab/faults/devices.py": "tests/emulation/test_fault_verdicts.py",
    "lab/faults/unsupported.py": "tests/emulation/test_fault_verdicts.py",
    "lab/faults/ports.py": "tests/emulation/test_fault_verdicts.py",
    "lab/faults/spoofing.py": "tests/emulation/test_fault_verdicts.py",
    "lab/injection.py": "tests/emulation/test_lab_faults.py",
    "lab/keeper.py": "tests/emulation/test_lab_lifecycle.py",
    "lab/namespaces.py": "tests/emulation/test_lab_lifecycle.py",
    "lab/network.py": "tests/emulation/test_lab_lifecycle.py",
    "lab/ovn.py": "tests/emulation/test_ovn_lifecycle.py",
    "lab/server.py": "tests/emulation/test_lab_lifecycle.py",
    "lab/state.py": "tests/emulation/test_lab_lifecycle.py",
    "ovsdb/attachment.py": "tests/functional/test_attach_leaves_no_trace.py",
    "ovsdb/client.py": "tests/functional/test_ovsdb_inventory.py",
    "ovsdb/datapath.py": "tests/functional/test_ovsdb_datapath.py",
    "ovsdb/inventory.py": "tests/functional/test_ovsdb_inventory.py",
    "ovsdb/southbound.py": "tests/emulation/test_ovn_tracing.py",
    "ovsdb/observation.py": "tests/functional/test_ovsdb_observation.py",
    "ovsdb/ofproto_trace.py": "tests/functional/test_explain.py",
    "ovsdb/mac_table.py": "tests/functional/test_explain_switching.py",
    "ovsdb/liveness.py": "tests/functional/test_ovsdb_liveness.py",
    "ovsdb/revalidation.py": "tests/functional/test_ovsdb_revalidation.py",
    "ovsdb/service_rows.py": "tests/functional/test_ovsdb_service_rows.py",
    "ovsdb/streams.py": "tests/functional/test_ovsdb_inventory.py",
    "ovsdb/unixctl.py": "tests/functional/test_ovsdb_unixctl.py",
    "pytest_plugin.py": "tests/emulation/test_verdicts.py",
}
"""Modules whose test is not their mirror: module → the test that covers it."""


def text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def words(name: str) -> set[str]:
    return {word.lower() for word in WORD.findall(name)}


def test_nothing_is_left_lying_at_the_top() -> None:
    made = [pattern.rstrip("/") for pattern in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    entries = [path.name for path in ROOT.iterdir() if not path.name.startswith(".")]
    assert {name for name in entries if not any(fnmatch(name, pattern) for pattern in made)} == ROOMS | PAPERS | LOCKS


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_file_is_not_too_long(path: Path) -> None:
    assert len(text(path).splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_file_says_what_it_is_about(path: Path) -> None:
    assert not set(path.with_suffix("").parts) & MEANINGLESS
    assert not words(path.stem) & MEANINGLESS


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_definitions_say_what_they_do(path: Path) -> None:
    tree = ast.parse(text("vtrace_ovs" / path))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [node.name for node in ast.walk(tree) if isinstance(node, kinds)]
    assert not [name for name in names if words(name) & (MEANINGLESS - {"data"})]  # as in NX userdata


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_begins_with_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(text("vtrace_ovs" / path)))
    assert docstring, "the first line says what the module turns into what"
    assert docstring.splitlines()[0].strip()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_has_a_test(path: Path) -> None:
    mirror = ROOT / "tests" / "unit" / path.parent / f"test_{path.name}"
    elsewhere = TESTED_ELSEWHERE.get(str(path))
    if elsewhere is not None:
        assert (ROOT / elsewhere).exists()
        assert not mirror.exists(), "it has its mirror now: take it off the list"
    elif has_code(path):
        assert mirror.exists(), f"write {mirror.relative_to(ROOT)} or list the module with the test that covers it"


def has_code(path: Path) -> bool:
    """Whether there is anything but imports, a docstring and constants."""
    tree = ast.parse(text("vtrace_ovs" / path))
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_stub(node) for node in ast.walk(tree)
    )


def is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether this is only the shape of a function, as in a protocol."""
    return all(isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) for part in node.body)


def test_the_list_of_exceptions_has_no_ghosts() -> None:
    assert not [name for name in TESTED_ELSEWHERE if not (PACKAGE / name).exists()]


@pytest.mark.parametrize("tree", ["tests", "mininet", "benchmarks"])
def test_no_package_shadows_an_installed_one(tree: str) -> None:
    assert not list((ROOT / tree).rglob("__init__.py"))


def test_no_script_shadows_a_module_of_mininet() -> None:
    assert not [path.name for path in (ROOT / "mininet").glob("*.py") if path.stem in MININET]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_silenced_rule_has_its_reason_on_the_line(path: Path) -> None:
    bare = re.compile(r"#\s*noqa(?!: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*( -|\s) \S)")
    assert not [line for line in text(path).splitlines() if bare.search(line) and "re.compile" not in line]
