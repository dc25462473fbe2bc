import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vtrace_ovs.cli.explain import connection_state
from vtrace_ovs.errors import UsageError

Outcome = tuple[int, str, str]
FLOWS = """\
 cookie=0x1, priority=10,tcp,in_port=1,tp_dst=443 actions=set_field:02:00:00:00:00:09->eth_dst,output:2
 cookie=0x2, priority=9,tcp,in_port=1,tp_dst=22 actions=drop
 cookie=0x3, priority=8,udp actions=psample(group=1)
 cookie=0x4, priority=7,icmp,dl_dst=00:00:00:00:00:01 actions=output:2
"""
PACKET = "nw_src=10.0.0.1,nw_dst=10.0.0.2"


@pytest.fixture
def dump(tmp_path: Path) -> str:
    file = tmp_path / "flows.txt"
    file.write_text(FLOWS)
    return str(file)


@pytest.mark.parametrize(
    ("packet", "code", "found"),
    [
        (f"tcp,{PACKET},tp_dst=443", 0, "handed to port 2"),
        (f"tcp,{PACKET},tp_dst=22", 1, "explicit drop"),
        (f"tcp,{PACKET},tp_dst=80", 1, "no match"),
        (f"udp,{PACKET}", 3, "stopped at psample"),
        (f"icmp,{PACKET}", 3, "the flows here match on eth_dst, and its value is not known"),
    ],
)
def test_the_exit_code_says_where_the_way_ends(
    vtrace: Callable[..., Outcome], dump: str, packet: str, code: int, found: str
) -> None:
    exit_code, out, _ = vtrace("explain", packet, "--dump", dump, "--in-port", "1")
    assert exit_code == code
    assert found in out
    assert "Assumed: nw_ttl=64" in out


def test_a_drop_shows_what_nearly_matched_first(vtrace: Callable[..., Outcome], dump: str) -> None:
    _, out, _ = vtrace("explain", f"tcp,{PACKET},tp_dst=80", "--dump", dump, "--in-port", "1")
    near = "near miss: table=0, cookie=0x1, priority=10,tcp,in_port=1,tp_dst=443 would have matched but for"
    assert f"{near} tcp_dst: the packet has 80, the flow wants 443" in out


def test_the_way_is_drawn_as_a_graph(vtrace: Callable[..., Outcome], dump: str) -> None:
    arguments = ("explain", f"tcp,{PACKET},tp_dst=22", "--dump", dump, "--in-port", "1", "-o", "dot")
    code, out, _ = vtrace(*arguments)
    assert (code, out.splitlines()[0], out.splitlines()[-1]) == (1, "digraph vtrace {", "}")
    assert "explicit drop" in out


def test_json_has_the_shape_of_a_live_trace(vtrace: Callable[..., Outcome], dump: str) -> None:
    arguments = ("explain", f"tcp,{PACKET},tp_dst=443", "--dump", dump, "--in-port", "1", "-o", "json")
    code, out, _ = vtrace(*arguments)
    document = json.loads(out)
    (group,) = document["groups"]
    assert (code, document["verdict"]["disposition"], group["path"]["origin"]) == (0, "DELIVERED", "predicted")
    assert document["verdict"]["confidence"] == "inferred"
    (hop,) = group["path"]["hops"]
    assert (hop["out_port"], [change["field"] for change in hop["changes"]]) == (2, ["eth_dst"])
    assert "against_ovs" not in document


def test_a_broken_dump_is_one_line_with_its_place(vtrace: Callable[..., Outcome], dump: str) -> None:
    Path(dump).write_text(f"{FLOWS} cookie=0x5, priority=7,udp actions=ct(commit")
    code, out, err = vtrace("explain", f"udp,{PACKET}", "--dump", dump, "--in-port", "1")
    assert (code, out) == (4, "")
    assert err.startswith(f"vtrace: {dump}:5: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("text", ["trk,new", "+trk+new", "new|trk", "new", " new ,"])
def test_connection_states_in_any_notation(text: str) -> None:
    assert connection_state(text) == 0x21


def test_an_unknown_connection_state_is_refused() -> None:
    with pytest.raises(UsageError, match="choose from new, est"):
        connection_state("trk,fresh")
