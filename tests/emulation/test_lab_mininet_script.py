"""The script for ``mn --custom`` builds the same overlay from Mininet's own nodes."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "mininet" / "vpc.py"

# What mn does with --custom and --topo. Not mn itself: when anything fails, it ends every Mininet node on the machine.
RUN = """
import runpy, sys
from mininet.cli import CLI
from mininet.net import Mininet
net = Mininet(topo=runpy.run_path(sys.argv[1])["topos"]["vpc"](), controller=None)
try:
    net.start()
    CLI(net, script=sys.argv[2])
finally:
    net.stop()
"""


def test_the_overlay_answers_at_mininets_prompt(tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    commands.write_text("blue-web1 ping -c1 -W2 10.0.2.22\ncs1 ovs-vsctl list-br\n")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, str(SCRIPT), str(commands)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "1 received" in done.stdout + done.stderr
    assert "br-phy" in done.stdout + done.stderr
