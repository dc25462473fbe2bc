"""Turns the command line into one of the commands, and whatever goes wrong into one line and an exit code, once."""

import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from vtrace_ovs import __version__
from vtrace_ovs.cli import correlate, demo, doctor, explain, lab, stats, tasks, tracing, usage
from vtrace_ovs.cli.console import emit_text, talk
from vtrace_ovs.cli.exit_codes import ExitCode
from vtrace_ovs.errors import FilterError, VtraceError

app = typer.Typer(
    name="vtrace",
    help="Where a tenant's packets are lost in an Open vSwitch overlay, and which flow entry lost them.",
    epilog="Exit codes: 0 delivered, 1 loss proven, 2 usage, 3 inconclusive or unseen, 4 infrastructure.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (tracing, stats, explain, tasks, correlate, usage, lab, doctor, demo):
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        emit_text(f"vtrace {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Where a tenant's packets are lost in an Open vSwitch overlay, and which flow entry lost them."""


def main() -> None:
    """The ``vtrace`` program. What SIGINT takes back (a Controller row, say), SIGTERM does too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Without arguments it prints the help."""
    try:
        outcome = app(args=list(arguments) or ["--help"], prog_name="vtrace", standalone_mode=False)
    except FilterError as error:
        talk(f"vtrace: {error.with_caret()}")
        return error.exit_code
    except VtraceError as error:
        talk(f"vtrace: {' '.join(str(error).split())}")
        return error.exit_code
    except typer.TyperException as error:
        talk(f"vtrace: {_usage_message(error)}")
        return ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        talk("vtrace: interrupted")
        return ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 - Python's own exit code for this, 1, would claim a proven loss
        talk(f"{traceback.format_exc()}vtrace: this is a bug, please report it with the lines above")
        return ExitCode.INFRASTRUCTURE
    if outcome == ExitCode.INTERRUPTED:
        talk("vtrace: interrupted")
    return outcome if isinstance(outcome, int) else ExitCode.DELIVERED


def _usage_message(error: typer.TyperException) -> str:
    """The parser's complaint in one line, and where to look."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "vtrace"
    message = " ".join(error.format_message().split())
    return f"{message} (see {command} --help)"
