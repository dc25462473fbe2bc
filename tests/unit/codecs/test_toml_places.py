import pytest

from vtrace_ovs.codecs.toml_places import Place
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.profile import Stage


def place(value: object) -> Place:
    return Place(value, "a.b", "file.toml")


def test_a_childs_path_tells_the_way_to_it() -> None:
    assert place({"c": [1, 2]}).require("c").path == "a.b.c"
    assert [item.path for item in place({"c": [1, 2]}).require("c").array()] == ["a.b.c[0]", "a.b.c[1]"]


def test_values_of_the_right_kind_come_back() -> None:
    assert place("x").text() == "x"
    assert place(5).integer(1, 5) == 5
    assert place(value=True).flag() is True
    assert str(place("10.0.0.1").address()) == "10.0.0.1"
    assert str(place("10.0.0.0/8").network()) == "10.0.0.0/8"
    assert place("routing").member(Stage) is Stage.ROUTING
    assert place({}).optional("c") is None


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("text", ""),
        ("text", 1),
        ("flag", 1),
        ("address", "x"),
        ("network", "10.0.0.1/8"),
        ("table", []),
    ],
)
def test_values_of_the_wrong_kind_are_refused_with_their_place(read: str, value: object) -> None:
    with pytest.raises(CodecError, match=r"^file\.toml: a\.b: "):
        getattr(place(value), read)()


def test_an_array_must_be_one() -> None:
    with pytest.raises(CodecError, match="expected an array"):
        list(place({}).array())
