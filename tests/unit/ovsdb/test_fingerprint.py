from dataclasses import replace

from vtrace_ovs.ovsdb.fingerprint import Fingerprint, difference

BEFORE = Fingerprint(
    flows=("priority=0 actions=NORMAL",),
    groups=(),
    meters=("meter=1 pktps bands= type=drop rate=5",),
    hidden_flows=(),
    controllers=("target=tcp:192.0.2.1:6653",),
    bridge=("name=br0",),
    mirrors=(),
)


def test_equal_fingerprints_have_no_difference_and_one_hash() -> None:
    assert difference(BEFORE, replace(BEFORE)) == ()
    assert len({BEFORE, replace(BEFORE)}) == 1


def test_what_went_and_what_came_is_named_with_its_section() -> None:
    after = replace(BEFORE, flows=("priority=1 actions=drop",), hidden_flows=("priority=180000,actions=NORMAL",))
    assert difference(BEFORE, after) == (
        "flows: - priority=0 actions=NORMAL",
        "flows: + priority=1 actions=drop",
        "hidden_flows: + priority=180000,actions=NORMAL",
    )


def test_a_line_that_doubles_is_a_difference() -> None:
    after = replace(BEFORE, controllers=BEFORE.controllers * 2)
    assert difference(BEFORE, after) == ("controllers: + target=tcp:192.0.2.1:6653",)
    assert difference(after, BEFORE) == ("controllers: - target=tcp:192.0.2.1:6653",)
