from vtrace_ovs.rendering.lines import Span, Style, line
from vtrace_ovs.rendering.terminal import coloured_text


def test_styles_become_ansi_colours() -> None:
    assert coloured_text([line(Span("lost", Style.BAD), " here")]) == "\x1b[1;31mlost\x1b[0m here\n"


def test_markup_in_the_text_means_nothing() -> None:
    assert coloured_text([line("[red]vm[/red] :smile:")]) == "[red]vm[/red] :smile:\n"


def test_control_characters_in_the_text_are_escaped() -> None:
    assert coloured_text([line("a\x1b[2Jb")]) == "a\\x1b[2Jb\n"


def test_long_lines_are_not_wrapped() -> None:
    assert coloured_text([line("word " * 100 + "end")]) == "word " * 100 + "end\n"
