"""Turns lines and text into output: results on stdout, talk on stderr, colours only on a terminal."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.rendering.lines import Line, Span, encodable, plain_text


def emit(lines: Iterable[Line]) -> None:
    """Write lines to stdout: coloured on a terminal, in ASCII where the stream has no Unicode."""
    if sys.stdout.isatty() and read_settings().colours:
        from vtrace_ovs.rendering.terminal import coloured_text  # noqa: PLC0415 - rich is slow to import

        text = coloured_text(lines)
    else:
        text = plain_text(lines)
    emit_text(text)


def emit_text(text: str) -> None:
    """Write text as it is (JSON) to stdout."""
    _write(sys.stdout, text)


def talk(message: str) -> None:
    """Say something to the operator on stderr, one escaped line per line of the message."""
    _write(sys.stderr, "".join(f"{Span(line).shown}\n" for line in message.split("\n")))


def _write(stream: TextIO, text: str) -> None:
    """Write and flush. When the reader has gone (``| head``), the rest is dropped and the exit code stays ours."""
    try:
        stream.write(encodable(text, stream.encoding))
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
