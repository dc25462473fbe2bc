"""An OVN lab comes up by itself, needs nothing of the system's OVN, and leaves nothing."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from vtrace_ovs.errors import LabError
from vtrace_ovs.lab import ovn
from vtrace_ovs.lab.ovn import OvnLab

SYSTEM_PLACES = tuple(Path(place) for place in ("/run/ovn", "/run/openvswitch", "/etc/openvswitch", "/var/lib/ovn"))
BOUND = 30.0


def remains() -> tuple[set[str], list[list[Path]]]:
    """Interfaces of this namespace, and the files where the system's own services keep theirs."""
    interfaces = {entry.name for entry in Path("/sys/class/net").iterdir()}
    return interfaces, [sorted(place.rglob("*")) for place in SYSTEM_PLACES]


def network_namespace(process: str) -> int:
    return Path(f"/proc/{process}/ns/net").stat().st_ino


def alive(pid: int) -> bool:
    """A zombie, which only waits for its parent to look, has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_an_ovn_lab_leaves_no_process_namespace_interface_or_file(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before, started = remains(), monotonic()
    with OvnLab(tmp_path / "ovn") as lab:
        record_property("seconds_up", monotonic() - started)
        assert monotonic() - started < BOUND
        daemons = [*lab.central.daemons.pids.values()]
        daemons += [pid for chassis in lab.chassis.values() for pid in chassis.ovs.pids.values()]
        nodes = [*lab.hosts.values(), *(chassis.namespace for chassis in lab.chassis.values())]
        shells = [node.pid for node in nodes]
        assert len(daemons) == 8
        assert all(map(alive, (*daemons, *shells)))
        assert network_namespace("self") not in {network_namespace(str(pid)) for pid in shells}
    assert not [pid for pid in (*daemons, *shells) if alive(pid)]
    assert remains() == before
    assert list(tmp_path.iterdir()) == []


def test_without_ovn_the_error_says_how_to_get_it_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ovn, "SCHEMAS", tmp_path / "nowhere")
    before = remains()
    with pytest.raises(LabError, match="apt-get install ovn-central ovn-host"):
        OvnLab(tmp_path / "ovn").up()
    assert remains() == before
    assert list(tmp_path.iterdir()) == []
