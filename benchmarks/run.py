"""Turns this machine into docs/benchmarks.md: every benchmark in turn, each in a process of its own (``make bench``).

``python benchmarks/run.py walker "overhead --threads"`` runs some of them. Exit code 1 when one failed; a missed bar is
no failure.
"""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = ("live", "overhead", "overhead --threads", "evidence", "walker")


def main() -> int:
    """Run what is asked for, all by default."""
    failed = []
    began = time.monotonic()
    for name in sys.argv[1:] or SCRIPTS:
        script, *arguments = name.split()
        done = subprocess.run([sys.executable, str(HERE / f"{script}.py"), *arguments], check=False)
        if done.returncode:
            failed.append(name)
    print(f"{time.monotonic() - began:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
