from collections.abc import Callable

import pytest

from vtrace_ovs import __version__
from vtrace_ovs.cli import tasks
from vtrace_ovs.errors import LabError, RefusedError, StorageError, VtraceError

Vtrace = Callable[..., tuple[int, str, str]]


def test_without_arguments_the_help_is_printed(vtrace: Vtrace) -> None:
    code, out, _ = vtrace()
    assert code == 0
    assert out == vtrace("--help")[1]
    assert "Exit codes: 0 delivered, 1 loss proven" in out


def test_the_version_is_printed(vtrace: Vtrace) -> None:
    assert vtrace("--version")[:2] == (0, f"vtrace {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "No such command 'nonsense'. (see vtrace --help)"),
        (("add",), "Missing argument 'FILTER'. (see vtrace add --help)"),
        (("add", "tcp", "--nope"), "No such option: --nope"),
        (("add", "tcp", "-n", "many"), "Invalid value for '-n'"),
        (("list", "-o", "yaml"), "'yaml' is not one of 'tree', 'json'"),
        (("lab",), "Missing command. (see vtrace lab --help)"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_line_and_code_2(
    vtrace: Vtrace, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = vtrace(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("vtrace: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("error", [StorageError("the database\nis gone"), LabError("x"), RefusedError("y")])
def test_an_error_is_one_line_with_its_own_code(
    vtrace: Vtrace, monkeypatch: pytest.MonkeyPatch, error: VtraceError
) -> None:
    monkeypatch.setattr(tasks, "open_store", raising(error))
    code, out, err = vtrace("list")
    assert (code, out) == (error.exit_code, "")
    assert err == f"vtrace: {str(error).replace(chr(10), ' ')}\n"


def test_an_interrupt_is_said_and_has_the_shell_s_code(vtrace: Vtrace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "open_store", raising(KeyboardInterrupt()))
    assert vtrace("list") == (130, "", "vtrace: interrupted\n")


def test_a_bug_is_never_mistaken_for_a_proven_loss(vtrace: Vtrace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "open_store", raising(ZeroDivisionError("oops")))
    code, _, err = vtrace("list")
    assert code == 4
    assert "ZeroDivisionError: oops" in err
    assert err.splitlines()[-1] == "vtrace: this is a bug, please report it with the lines above"


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail
