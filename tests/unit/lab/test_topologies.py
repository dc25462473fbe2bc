from pathlib import Path

import pytest

from vtrace_ovs.errors import CodecError, LabError
from vtrace_ovs.lab.topologies import load_topology, topology_path


def test_the_shipped_topology_is_the_default() -> None:
    assert load_topology().name == "vpc"


def test_a_path_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = 'mine'")
    assert topology_path(str(path)) == path
    with pytest.raises(CodecError, match=r"mine\.toml: document: 'tenants' is missing"):
        load_topology(str(path))


def test_a_topology_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no topology 'atlantis' ships"):
        load_topology("atlantis")
    with pytest.raises(LabError, match="cannot be read"):
        load_topology(str(tmp_path / "gone.toml"))


def test_blue_has_pairs_on_one_server_across_servers_and_between_subnets() -> None:
    blue = load_topology().tenant("blue")
    pairs = [(one, other) for one in blue.vms for other in blue.vms if one is not other]
    assert any(one.subnet == other.subnet and one.server == other.server for one, other in pairs)
    assert any(one.subnet == other.subnet and one.server != other.server for one, other in pairs)
    assert any(one.subnet != other.subnet for one, other in pairs)


def test_each_subnet_of_the_two_gateways_sends_to_its_own() -> None:
    overlay = load_topology("gateways")
    sent_to = [overlay.gateway_of(subnet).name for subnet in overlay.tenant("violet").subnets]
    assert sent_to == [server.name for server in overlay.gateways()] == ["gw1", "gw2"]
    vpc = load_topology()
    assert vpc.gateway_of(vpc.tenant("blue").subnet("web")) is vpc.gateway()
