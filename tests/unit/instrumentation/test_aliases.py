from dataclasses import replace
from ipaddress import ip_address

import pytest

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.filters import canonical_text, parse, reversed_filter
from vtrace_ovs.instrumentation.aliases import MOST_ALIASES, aliases, with_aliases
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    Conntrack,
    GotoTable,
    Group,
    Move,
    Nat,
    Output,
    SetField,
)
from vtrace_ovs.model.flow import BridgeTables, Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import ETH_TYPE, IP_PROTO, IPV4_DST, IPV4_SRC, IPV6_DST, REGISTERS, TCP_DST, Field, SubField
from vtrace_ovs.model.topology import Topology

WEB, DB, FLOATING = 0x0A000101, 0x0A000202, 0xCB007115
TRAFFIC = parse("tcp,nw_src=10.0.1.1,nw_dst=203.0.113.21,tp_dst=443")


def ip(*fields: MaskedField) -> Match:
    return Match.of(MaskedField(ETH_TYPE, 0x0800, 0xFFFF), *fields)


def to(address: int) -> Match:
    return ip(MaskedField(IPV4_DST, address, IPV4_DST.full_mask))


def of(address: int) -> Match:
    return ip(MaskedField(IPV4_SRC, address, IPV4_SRC.full_mask))


def tracked(*nats: Nat, table_id: int | None = 9) -> Conntrack:
    return Conntrack(commit=True, force=False, zone=1, table_id=table_id, nested=nats)


def dnat(text: str) -> Nat:
    return Nat(source=False, destination=True, range_text=text)


def snat(text: str) -> Nat:
    return Nat(source=True, destination=False, range_text=text)


def set_field(field: Field, value: int) -> SetField:
    return SetField(field, value, field.full_mask)


def reading(*flows: tuple[Match, tuple[Action, ...]], groups: tuple[GroupEntry, ...] = ()) -> BridgeTables:
    there = (
        Flow(0, 100 + number, match, (ApplyActions(actions), GotoTable(10)))
        for number, (match, actions) in enumerate(flows)
    )
    return BridgeTables(1, 0.0, tuple(there), groups)


def texts(tables: BridgeTables, traffic: str = TRAFFIC.text) -> list[str]:
    return [alias.text for alias in aliases(parse(traffic), [tables], canonical_text)]


def test_conntrack_with_one_address_leaves_one_alias() -> None:
    assert texts(reading((to(FLOATING), (tracked(dnat("10.0.2.2")),)))) == [
        "tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=443"
    ]


def test_a_named_port_is_translated_too_and_others_stay() -> None:
    tables = reading((to(FLOATING), (tracked(dnat("10.0.2.2:8443")),)), (of(WEB), (tracked(snat("203.0.113.1")),)))
    assert "tcp,nw_src=203.0.113.1,nw_dst=10.0.2.2,tp_dst=8443" in texts(tables)
    assert texts(tables, "icmp,nw_src=10.0.1.1,nw_dst=203.0.113.21")[0] == "icmp,nw_src=10.0.1.1,nw_dst=10.0.2.2"


def test_translations_on_the_way_add_up() -> None:
    """Whichever of them a packet meets, and in whichever order."""
    found = texts(reading((of(WEB), (tracked(snat("203.0.113.1")),)), (to(FLOATING), (tracked(dnat("10.0.2.2")),))))
    assert found == [
        "tcp,nw_src=203.0.113.1,nw_dst=203.0.113.21,tp_dst=443",
        "tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=443",
        "tcp,nw_src=203.0.113.1,nw_dst=10.0.2.2,tp_dst=443",
    ]


def test_a_set_field_is_a_translation() -> None:
    actions = (set_field(IPV4_DST, DB), set_field(TCP_DST, 8443))
    assert texts(reading((to(FLOATING), actions))) == ["tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=8443"]


def test_every_output_has_its_own_translation() -> None:
    actions = (set_field(IPV4_DST, DB), Output(2), set_field(IPV4_DST, DB + 1), Output(3))
    assert texts(reading((to(FLOATING), actions))) == [
        "tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=443",
        "tcp,nw_src=10.0.1.1,nw_dst=10.0.2.3,tp_dst=443",
    ]


def test_every_bucket_is_a_translation() -> None:
    buckets = tuple(Bucket(1, 0, 0, (tracked(dnat(f"10.0.2.{n}")),)) for n in (2, 3))
    tables = reading((to(FLOATING), (Group(7),)), groups=(GroupEntry(7, GroupType.SELECT, buckets),))
    assert texts(tables) == [f"tcp,nw_src=10.0.1.1,nw_dst=10.0.2.{n},tp_dst=443" for n in (2, 3)]


@pytest.mark.parametrize(
    "action",
    [
        tracked(dnat("10.0.2.2-10.0.2.9")),
        tracked(Nat(source=False, destination=False)),
        tracked(dnat("2001:db8::1")),
        SetField(IPV4_DST, DB, 0xFFFF),
        Move(SubField(REGISTERS[0], 0, 32), SubField(IPV4_DST, 0, 32)),
        Group(99),
    ],
)
def test_what_leaves_a_choice_is_no_alias(action: Action) -> None:
    assert texts(reading((to(FLOATING), (action,)))) == []


def test_flows_of_other_traffic_do_not_count() -> None:
    assert texts(reading((to(FLOATING + 1), (tracked(dnat("10.0.2.2")),)))) == []


def test_what_the_filter_covers_anyway_is_no_alias() -> None:
    assert texts(reading((to(FLOATING), (tracked(dnat("10.0.2.2")),))), "tcp,nw_src=10.0.1.1,tp_dst=443") == []


def test_aliases_have_an_end() -> None:
    buckets = tuple(Bucket(1, 0, 0, (tracked(dnat(f"10.0.2.{n}")),)) for n in range(1, 60))
    tables = reading((to(FLOATING), (Group(7),)), groups=(GroupEntry(7, GroupType.SELECT, buckets),))
    assert len(texts(tables)) == MOST_ALIASES


def test_an_alias_that_is_anothers_traffic_is_left_out(task: ArmedTask, topology: Topology) -> None:
    """Its packets go on unmarked, as before; both tasks are served."""
    tables = reading((to(FLOATING), (tracked(dnat("10.0.2.2")),)))
    mine = replace(task, filter=TRAFFIC, vnis=None)
    for filter_text, kept in (("tcp,nw_dst=10.0.2.2", 0), ("tcp,nw_dst=10.0.2.7", 1)):
        other = replace(mine, slot=8, filter=parse(filter_text))
        assert len(with_aliases(mine, [other], topology, [tables], canonical_text).aliases) == kept


def test_both_families_are_translated_and_never_into_each_other() -> None:
    inside, outside = (int(ip_address(f"2001:db8::{last}")) for last in (2, 9))
    wanted = Match.of(MaskedField(ETH_TYPE, 0x86DD, 0xFFFF), MaskedField(IPV6_DST, outside, IPV6_DST.full_mask))
    traffic = "tcp6,ipv6_dst=2001:db8::9,tp_dst=443"
    for action in (tracked(dnat("2001:db8::2")), set_field(IPV6_DST, inside)):
        assert texts(reading((wanted, (action,))), traffic) == ["tcp6,ipv6_dst=2001:db8::2,tp_dst=443"]
    assert texts(reading((wanted, (tracked(dnat("10.0.2.2")),))), traffic) == []


def test_replies_look_like_the_request_behind_nat_the_other_way_round(task: ArmedTask, topology: Topology) -> None:
    tables = reading((to(FLOATING), (tracked(dnat("10.0.2.2")),)))
    replies = replace(task, filter=reversed_filter(TRAFFIC), vnis=None, replies=True)
    armed = with_aliases(replies, [], topology, [tables], canonical_text)
    assert [alias.text for alias in armed.aliases] == ["tcp,nw_src=10.0.2.2,nw_dst=10.0.1.1,tp_src=443"]
    assert armed.colored == (armed.filter, *armed.aliases)
    assert replace(armed, replies=False).colored == (armed.filter,)
    other = replace(task, slot=8, filter=parse("tcp,nw_src=10.0.2.2"), vnis=None)
    with pytest.raises(RefusedError, match="behind NAT"):
        with_aliases(replies, [other], topology, [tables], canonical_text)


def test_what_conntrack_undoes_for_replies_is_known_where_one_address_stood_for_one() -> None:
    tables = reading((to(FLOATING), (tracked(dnat("10.0.2.2")),)), (of(WEB), (tracked(snat("203.0.113.1")),)))
    assert texts(tables, "udp,nw_src=10.0.2.2,nw_dst=10.0.1.9") == ["udp,nw_src=203.0.113.21,nw_dst=10.0.1.9"]
    assert texts(tables, "udp,nw_src=10.0.3.3,nw_dst=203.0.113.1") == ["udp,nw_src=10.0.3.3,nw_dst=10.0.1.1"]
    port = MaskedField(TCP_DST, 443, 0xFFFF)
    to_port = reading(
        (to(FLOATING).with_fields(MaskedField(IP_PROTO, 6, 0xFF), port), (tracked(dnat("10.0.2.2:8443")),))
    )
    reply = "tcp,nw_src=10.0.2.2,nw_dst=10.0.1.9,tp_src=8443"
    assert texts(to_port, reply) == ["tcp,nw_src=203.0.113.21,nw_dst=10.0.1.9,tp_src=443"]
    many = ip(MaskedField(IPV4_SRC, 0x0A000100, 0xFFFFFF00))
    assert texts(reading((many, (tracked(snat("203.0.113.1")),))), "udp,nw_src=10.0.3.3,nw_dst=203.0.113.1") == []
