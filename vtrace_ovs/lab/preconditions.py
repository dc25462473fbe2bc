"""Turns what this machine lacks for a lab into a LabError that says how to get it."""

import os
import shutil
from pathlib import Path

from vtrace_ovs.errors import LabError

PROGRAMS = {
    "mnexec": "mininet",
    "ovsdb-server": "openvswitch-switch",
    "ovs-vswitchd": "openvswitch-switch",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "nft": "nftables",
    "sysctl": "procps",
}


def check_preconditions() -> None:
    """Raise LabError for the first thing that is missing: root, then each program."""
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and needs root: run it with sudo")
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise LabError(f"the lab needs {program}, which is not on PATH: apt-get install {package}")


def datapath_type() -> str:
    """``system`` where the kernel has the openvswitch module loaded, else ``netdev`` (design D11)."""
    return "system" if Path("/sys/module/openvswitch").exists() else "netdev"
