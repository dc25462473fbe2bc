"""Who may look at the process's surroundings: one reader of the environment, and a command line that starts quickly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "vtrace_ovs").rglob("*.py"))
READER = ROOT / "vtrace_ovs" / "cli" / "settings.py"
PASSED_ON = {
    ROOT / "vtrace_ovs" / "controller" / "framework.py": "tells eventlet, before it is imported, to look up no names",
    ROOT / "vtrace_ovs" / "lab" / "daemons.py": "starts Open vSwitch with this environment and its own OVS_* paths",
}
HEAVY = ("eventlet", "ryu", "os_ken", "sqlalchemy", "alembic", "mininet", "scapy", "pyroute2", "ovs", "rich.console")


@pytest.mark.parametrize("path", [path for path in MODULES if path != READER and path not in PASSED_ON], ids=str)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in nodes
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not names & {"environ", "environb", "getenv", "getenvb"}


def test_the_command_line_imports_nothing_heavy_until_a_command_needs_it() -> None:
    program = "import sys, vtrace_ovs.cli.app; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in HEAVY if name in loaded]
