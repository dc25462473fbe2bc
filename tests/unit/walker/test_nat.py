import pytest

from vtrace_ovs.model.actions import Nat
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.nat import translate
from vtrace_ovs.walker.state import PacketState

NEW, ESTABLISHED = 0x21, 0x22
ALL = ("ipv4_src", "tcp_src", "ipv4_dst", "tcp_dst")


def tcp(**values: int) -> PacketState:
    values = {"eth_type": 0x0800, "ip_proto": 6, "ipv4_src": 9, "tcp_src": 1000, **values}
    return PacketState(sum(layout.placed(name, value) for name, value in values.items()), 0)


def nat(text: str = "", *, source: bool = True) -> Nat:
    return Nat(source=source, destination=not source, range_text=text)


def unknown(state: PacketState) -> set[str]:
    return {name for name in (*ALL, "ipv6_src") if state.unknown & layout.bits_of(name)}


@pytest.mark.parametrize(
    ("action", "ct_state", "left_open"),
    [
        (nat(), NEW, set()),
        (Nat(source=False, destination=False), ESTABLISHED, set()),
        (Nat(source=False, destination=False), ESTABLISHED | 0x40, {"ipv4_src", "tcp_src"}),
        (nat(), ESTABLISHED | 0x80, {"ipv4_dst", "tcp_dst"}),
        (nat("10.0.0.9"), NEW, {"tcp_src"}),
        (nat("10.0.0.9,random"), NEW, {"tcp_src"}),
        (nat("10.0.0.9:80"), NEW, set()),
        (nat("10.0.0.9", source=False), NEW, set()),
        (nat("10.0.0.9-10.0.0.12"), NEW, {"ipv4_src", "tcp_src"}),
        (nat("10.0.0.9:1-9"), NEW, {"ipv4_src", "tcp_src"}),
        (nat("2001:db8::1"), NEW, {"ipv4_src", "tcp_src"}),
    ],
)
def test_a_translation_leaves_open_what_it_does_not_fix(action: Nat, ct_state: int, left_open: set[str]) -> None:
    state = tcp()
    translate(state, action, ct_state)
    assert unknown(state) == left_open


def test_one_address_is_written_and_the_state_says_so() -> None:
    state = tcp()
    translate(state, nat("172.16.0.1:80"), NEW)
    assert [layout.read(state.packed, name) for name in ("ipv4_src", "tcp_src", "ct_state")] == [0xAC100001, 80, 0x40]


def test_an_echo_request_has_no_port_to_change() -> None:
    state = tcp(ip_proto=1, tcp_src=8)
    translate(state, nat("172.16.0.1"), NEW)
    assert not unknown(state)


@pytest.mark.parametrize(("text", "port"), [("2001:db8::1", None), ("[2001:db8::1]:80", 80)])
def test_ipv6_is_translated_too(text: str, port: int | None) -> None:
    state = tcp(eth_type=0x86DD)
    translate(state, nat(text), NEW)
    assert layout.read(state.packed, "ipv6_src") == 0x20010DB8_00000000_00000000_00000001
    assert unknown(state) == (set() if port else {"tcp_src"})
    assert port is None or layout.read(state.packed, "tcp_src") == port
