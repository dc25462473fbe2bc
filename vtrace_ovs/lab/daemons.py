"""Turns a directory (and optionally a network namespace) into a running Open vSwitch: ovsdb-server and ovs-vswitchd."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vtrace_ovs.errors import LabError

SCHEMA_CANDIDATES = (
    Path("/usr/share/openvswitch/vswitch.ovsschema"),
    Path("/usr/local/share/openvswitch/vswitch.ovsschema"),
)
START_DEADLINE = 10.0


def _schema() -> Path:
    for candidate in SCHEMA_CANDIDATES:
        if candidate.exists():
            return candidate
    raise LabError("Open vSwitch is not installed: no vswitch.ovsschema; install openvswitch-switch")


@dataclass(slots=True)
class OvsInstance:
    """One Open vSwitch of its own, all files under ``directory``.

    ``prefix`` is put before every command (``mnexec -a PID``); ``dummy`` starts vswitchd with ``--enable-dummy`` (no
    root needed).
    """

    directory: Path
    prefix: Sequence[str] = ()
    dummy: bool = False
    remotes: Sequence[str] = ()
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that point every OVS tool at this instance."""
        place = str(self.directory)
        return {
            **os.environ,
            "OVS_RUNDIR": place,
            "OVN_RUNDIR": place,
            "OVS_LOGDIR": place,
            "OVS_DBDIR": place,
            "OVS_SYSCONFDIR": place,
        }

    @property
    def ovsdb(self) -> str:
        """The OVSDB connection string of this instance."""
        return f"unix:{self.directory / 'db.sock'}"

    def management_socket(self, bridge: str) -> Path:
        """Where a bridge's always-present OpenFlow service listens."""
        return self.directory / f"{bridge}.mgmt"

    def start(self, configuration: Sequence[str] = ()) -> None:
        """Create the database if needed and start both daemons. Raises LabError when they do not come up.

        ``configuration`` is an ovs-vsctl transaction made before ovs-vswitchd starts, so that it comes up configured.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        database = self.directory / "conf.db"
        if not database.exists():
            self.run("ovsdb-tool", "create", str(database), str(_schema()))
        remotes = [f"--remote=punix:{self.directory / 'db.sock'}", *(f"--remote={remote}" for remote in self.remotes)]
        self.daemon("ovsdb-server", str(database), *remotes)
        self.run("ovs-vsctl", "--no-wait", "init", *configuration)
        self.start_vswitchd()

    def start_vswitchd(self) -> None:
        """Start (or start again) ovs-vswitchd on the running database."""
        flags = ["--enable-dummy", "--disable-system"] if self.dummy else []
        self.daemon("ovs-vswitchd", self.ovsdb, *flags)

    def daemon(self, program: str, *arguments: str, control_socket: bool = True) -> None:
        """Start one daemon of this family (OVN's too) with its files in ``directory``; ``kill`` ends it by name.

        ``control_socket`` False is for ovn-controller, which takes no ``--unixctl``; OVN_RUNDIR tells it where.
        """
        pidfile = self.directory / f"{program}.pid"
        self.run(
            program,
            *arguments,
            "--detach",
            "--no-chdir",
            f"--pidfile={pidfile}",
            f"--log-file={self.directory / program}.log",
            "-vconsole:off",
            *([f"--unixctl={self.directory / program}.ctl"] if control_socket else []),
        )
        self.pids[program] = int(pidfile.read_text())

    def run(self, *command: str, check: bool = True, stdin: str | None = None) -> str:
        """Run a command against this instance and return its output. Raises LabError with the command's own words."""
        done = subprocess.run(
            [*self.prefix, *command],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if check and done.returncode:
            raise LabError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def vsctl(self, *arguments: str) -> str:
        """ovs-vsctl."""
        return self.run("ovs-vsctl", *arguments)

    def ofctl(self, *arguments: str, stdin: str | None = None) -> str:
        """ovs-ofctl over OpenFlow 1.3, with no name resolution."""
        return self.run("ovs-ofctl", "-O", "OpenFlow13", "--no-names", *arguments, stdin=stdin)

    def appctl(self, *arguments: str) -> str:
        """ovs-appctl to this instance's ovs-vswitchd."""
        return self.run("ovs-appctl", "-t", str(self.directory / "ovs-vswitchd.ctl"), *arguments)

    def kill(self, program: str, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal to one daemon by pid, and wait until it is gone if the signal ends it."""
        pid = self.pids.pop(program, None)
        if pid is None:
            return
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + START_DEADLINE
        while _alive(pid):
            if time.monotonic() > deadline:
                raise LabError(f"{program} (pid {pid}) did not end")
            time.sleep(0.005)

    def stop(self) -> None:
        """End both daemons, vswitchd first."""
        self.kill("ovs-vswitchd", signal.SIGTERM)
        self.kill("ovsdb-server", signal.SIGTERM)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    # A killed leader is a zombie while its other threads still hold the sockets; those live until they are gone too.
    return stat.rsplit(")", 1)[1].split()[0] != "Z" or _threads(pid) > 1


def _threads(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except FileNotFoundError:
        return 0
