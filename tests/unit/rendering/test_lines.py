import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.rendering.lines import Branch, Span, Style, encodable, line, plain_text, to_ascii, tree


@given(st.text())
def test_whatever_a_tenant_writes_is_shown_printable(text: str) -> None:
    assert Span(text).shown.isprintable()


def test_escapes_are_visible_and_harmless() -> None:
    assert Span("vm\x1b[31m\u202e\n").shown == "vm\\x1b[31m\\u202e\\n"


def test_printable_text_of_any_script_is_left_alone() -> None:
    assert Span("Müller 虚拟机").shown == "Müller 虚拟机"


def test_a_line_joins_strings_and_spans() -> None:
    assert line("a ", Span("b", Style.BAD)).shown == "a b"


def test_a_tree_draws_its_branches() -> None:
    branches = (Branch(line("a"), (Branch(line("b"), (Branch(line("c")),)), Branch(line("d")))), Branch(line("e")))
    assert plain_text(tree(branches)).splitlines() == ["├─ a", "│  ├─ b", "│  │  └─ c", "│  └─ d", "└─ e"]


def test_lines_end_without_trailing_blanks() -> None:
    assert plain_text([line("a  "), line()]) == "a\n\n"


@given(st.text())
def test_ascii_text_is_ascii(text: str) -> None:
    assert to_ascii(text).isascii()


def test_our_marks_have_ascii_forms() -> None:
    assert to_ascii("├─ ✓ a → ✗ b — ü") == "|- + a -> x b - \\xfc"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf_16"])
def test_unicode_streams_get_the_text_unchanged(encoding: str) -> None:
    assert encodable("✓", encoding) == "✓"


@pytest.mark.parametrize("encoding", ["ascii", "ANSI_X3.4-1968", "latin-1", None])
def test_other_streams_get_ascii(encoding: str | None) -> None:
    assert encodable("✓", encoding) == "+"
