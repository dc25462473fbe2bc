from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.diagnosis.naming import counted, place_name, port_name, printable
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.topology import BridgeId

CS1 = BridgeId("cs1", "br-int")


@given(st.text())
def test_whatever_a_tenant_chose_is_printable(text: str) -> None:
    assert printable(text).isprintable()


def test_printable_text_stays_as_it_is() -> None:
    assert printable("cs1/br-int, port 3 (vnet0)") == "cs1/br-int, port 3 (vnet0)"


def test_terminal_escapes_and_invisible_marks_are_spelled_out() -> None:
    assert printable("a\x1b[31mb\u202ec\n") == "a\\x1b[31mb\\u202ec\\n"


def test_ports_are_named_as_far_as_they_are_known(scene: Scene) -> None:
    assert port_name(scene, CS1, 1) == "port 1 (tap-cs1) of cs1/br-int"
    assert port_name(scene, CS1, 77) == "port 77 of cs1/br-int"
    assert port_name(scene, CS1, None) == "an unnamed port of cs1/br-int"
    assert port_name(replace(scene), CS1, 0xFFFFFFFE) == "the LOCAL port of cs1/br-int"


def test_places_name_their_table() -> None:
    assert place_name(CS1, None, None) == "cs1/br-int"
    assert place_name(CS1, 20, None) == "cs1/br-int, table 20"
    assert place_name(CS1, 20, "security") == "cs1/br-int, table 20 (security)"


def test_counts_agree_with_their_noun() -> None:
    assert (counted(1, "packet"), counted(41, "packet")) == ("1 packet", "41 packets")
