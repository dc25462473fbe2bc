from collections.abc import Callable

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Bucket, GroupEntry, GroupType
from vtrace_ovs.model.oxm import SubField, field
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.reading import read_by


def part(name: str, width: int = 8) -> SubField:
    return SubField(field(name), 0, width)


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        (act.SetField(field("ipv4_dst"), 0, 0xFF), {"ipv4_dst": 0xFF, "ip_proto": 0xFF}),
        (act.SetField(field("tcp_dst"), 0, 0xFFFF), {"tcp_dst": 0xFFFF, "ip_proto": 0xFF}),
        (act.SetField(field("arp_sha"), 0, 1), {"arp_sha": 1, "arp_op": 0xFFFF}),
        (act.Move(part("eth_src"), part("reg1")), {"eth_src": 0xFF, "reg1": 0xFF}),
        (act.OutputSubField(part("tun_id")), {"tun_id": 0xFF}),
        (act.DecTtl(), {"nw_ttl": 0xFF, "ip_proto": 0xFF}),
        (act.Conntrack(commit=True, force=False, zone=part("vlan_tci"), table_id=1), {"vlan_tci": 0xFF}),
        (act.Clone((act.Push(part("nw_ttl")),)), {"nw_ttl": 0xFF, "ip_proto": 0xFF}),
        (act.Group(5), {"tun_id": (1 << 64) - 1}),
        (act.Group(6), {}),
        (act.Output(2), {}),
    ],
)
def test_an_action_reads_what_it_copies_writes_or_counts_down(
    tables: Callable[..., BridgeTables], action: act.Action, wanted: dict[str, int]
) -> None:
    bucket = Bucket(1, act.OFPP_ANY, act.OFPP_ANY, (act.SetTunnelId(7),))
    loop = Bucket(1, act.OFPP_ANY, act.OFPP_ANY, (act.Group(6),))
    groups = (GroupEntry(5, GroupType.ALL, (bucket,)), GroupEntry(6, GroupType.ALL, (loop,)))
    found = read_by(BridgeView(tables(groups=groups)), (act.ApplyActions((action,)),))
    assert {masked.field.name: masked.mask for masked in found} == wanted


def test_a_hash_and_a_learning_switch_read_addresses(tables: Callable[..., BridgeTables]) -> None:
    view = BridgeView(tables())
    for action in (
        act.Output(act.OFPP_NORMAL),
        act.Bundle(active_backup=False, members=(1,), destination=None, raw=b""),
    ):
        names = {masked.field.name for masked in read_by(view, (act.WriteActions((action,)),))}
        assert {"eth_src", "eth_dst", "vlan_tci"} <= names
