from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.rendering.markup import box, escaped, svg, text, way


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\" onload='x'", "&quot; onload=&#x27;x&#x27;"),
        ("&lt;", "&amp;lt;"),
        ("a\x00\x1b[31m\u202eb", "a\\x00\\x1b[31m\\u202eb"),
        ("\ud800", "\\ud800"),
    ],
)
def test_nothing_that_was_written_by_others_acts(hostile: str, harmless: str) -> None:
    assert escaped(hostile) == harmless


@given(st.text())
def test_a_drawing_with_any_words_is_well_formed(words: str) -> None:
    drawing = ET.fromstring(svg(10, 10, words, text(1, 2, words), box((0, 0, 1, 1), "#fff"), way("M0,0h1", "#000")))  # noqa: S314 - our own output
    assert [one.tag.split("}")[1] for one in drawing.iter()] == ["svg", "title", "text", "rect", "path"]
