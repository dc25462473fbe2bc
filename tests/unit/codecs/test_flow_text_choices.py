import pytest

from vtrace_ovs.codecs.flow_text_choices import bundle, multipath
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.model.actions import Bundle, Multipath
from vtrace_ovs.model.oxm import SubField, field

NAMES = PortNames({"p1": 1})
LOW = SubField(field("reg0"), 0, 4)


def test_multipath_names_its_links_and_where_the_choice_goes() -> None:
    assert multipath("symmetric_l4,1024,hrw,8,0,NXM_NX_REG0[0..3]") == (Multipath(8, LOW, b""),)


def test_bundles_name_their_members() -> None:
    assert bundle("eth_src,0,hrw,ofport,members:p1,2", NAMES, loads=False) == (Bundle(False, (1, 2), None, b""),)
    text = "eth_src,0,active_backup,ofport,NXM_NX_REG0[0..3],slaves:4"
    assert bundle(text, NAMES, loads=True) == (Bundle(True, (4,), LOW, b""),)


@pytest.mark.parametrize(
    "text", ["", "a,b,c,d,0,NXM_NX_FUTURE[]", "eth_src,0,hrw,future,members:1", "eth_src,0,hrw,ofport,1"]
)
def test_another_form_is_not_guessed(text: str) -> None:
    assert multipath(text) is None
    assert bundle(text, NAMES, loads=False) is None


def test_a_bundle_that_loads_into_an_unknown_field_is_not_guessed() -> None:
    assert bundle("eth_src,0,hrw,ofport,NXM_NX_FUTURE[],members:1", NAMES, loads=True) is None
