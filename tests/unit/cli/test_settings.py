from pathlib import Path

import pytest

from vtrace_ovs.cli.settings import Settings, ovsdb_connections, read_settings, without_underlay
from vtrace_ovs.errors import UsageError
from vtrace_ovs.ovsdb.client import TlsFiles


def test_root_without_variables_gets_the_system_s_places() -> None:
    assert read_settings({}, user_id=0) == Settings(
        ("unix:/var/run/openvswitch/db.sock",), False, "/var/lib/vtrace/vtrace.db", Path("/run/vtrace"), True
    )


def test_other_users_keep_their_tasks_at_home() -> None:
    assert read_settings({"HOME": "/home/ann"}, 1000).database == "/home/ann/.local/state/vtrace/vtrace.db"
    assert read_settings({"XDG_STATE_HOME": "/state"}, 1000).database == "/state/vtrace/vtrace.db"


def test_every_variable_is_heard() -> None:
    settings = read_settings(
        {
            "VTRACE_OVSDB": "unix:/a, tcp:192.0.2.1:6640,unix:/a,",
            "VTRACE_DATABASE": "postgresql://host/name",
            "VTRACE_RUNDIR": "/elsewhere",
            "NO_COLOR": "1",
        },
        0,
    )
    assert settings == Settings(
        ("unix:/a", "tcp:192.0.2.1:6640"), True, "postgresql://host/name", Path("/elsewhere"), False
    )
    assert read_settings({"OVS_RUNDIR": "/ovs"}, 0).ovsdb == ("unix:/ovs/db.sock",)


def test_what_remote_bridges_dial_and_tls_needs_are_heard() -> None:
    files = {"VTRACE_TLS_KEY": "/key", "VTRACE_TLS_CERT": "/cert", "VTRACE_TLS_CA": "/ca"}
    settings = read_settings({"VTRACE_LISTEN": "tcp:192.0.2.1:6653", **files}, 0)
    assert settings.listen == "tcp:192.0.2.1:6653"
    assert settings.tls == TlsFiles(Path("/key"), Path("/cert"), Path("/ca"))
    with pytest.raises(UsageError, match=r"^VTRACE_TLS_CERT and VTRACE_TLS_CA not set"):
        read_settings({"VTRACE_TLS_KEY": "/key"}, 0)


def test_the_underlay_may_be_left_alone() -> None:
    settings = read_settings({}, 0)
    assert settings.underlay
    assert not without_underlay(settings, option=True).underlay
    kept_off = read_settings({"VTRACE_NO_UNDERLAY": "1"}, 0)
    assert not without_underlay(kept_off, option=False).underlay


def test_fewer_tasks_may_be_allowed() -> None:
    assert read_settings({"VTRACE_MAX_TASKS": "3"}, 0).max_tasks == 3


@pytest.mark.parametrize("number", ["0", "513", "many", "-1"])
def test_a_number_of_tasks_that_cannot_be_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match=r"^VTRACE_MAX_TASKS: .* is not a number from 1 to 512"):
        read_settings({"VTRACE_MAX_TASKS": number}, 0)


def test_an_empty_variable_counts_as_unset() -> None:
    empty = dict.fromkeys(("VTRACE_OVSDB", "VTRACE_DATABASE", "VTRACE_RUNDIR", "OVS_RUNDIR", "NO_COLOR"), "")
    assert read_settings(empty, 0) == read_settings({}, 0)


@pytest.mark.parametrize("text", ["/var/run/db.sock", "unix:", "http://host", ","])
def test_what_is_not_a_connection_is_refused_by_the_name_of_its_source(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--ovsdb\b"):
        ovsdb_connections(text, "--ovsdb")
