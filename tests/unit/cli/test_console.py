import io
import sys

import pytest

from vtrace_ovs.cli.console import emit, talk
from vtrace_ovs.rendering.lines import Span, Style, line

LOST = [line(Span("✗", Style.BAD), " lost")]


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def stream(monkeypatch: pytest.MonkeyPatch, encoding: str, kind: type[io.TextIOWrapper]) -> io.BytesIO:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", kind(buffer, encoding=encoding))
    return buffer


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    written = stream(monkeypatch, "utf-8", Terminal)
    emit(LOST)
    assert written.getvalue().decode() == "\x1b[1;31m✗\x1b[0m lost\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    written = stream(monkeypatch, "utf-8", Terminal)
    emit(LOST)
    assert written.getvalue().decode() == "✗ lost\n"


def test_a_pipe_without_unicode_gets_plain_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    written = stream(monkeypatch, "ascii", io.TextIOWrapper)
    emit(LOST)
    assert written.getvalue() == b"x lost\n"


def test_talk_goes_to_stderr_and_escapes_what_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    talk("bad \x1b[2J\nsecond line")
    assert capsys.readouterr() == ("", "bad \\x1b[2J\nsecond line\n")
