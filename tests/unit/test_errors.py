import pytest

from vtrace_ovs import errors
from vtrace_ovs.errors import FilterError, InfrastructureError, RefusedError, UsageError, VtraceError

LEAVES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VtraceError)]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_has_the_exit_code_of_its_branch(kind: type[VtraceError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 4)


def test_every_error_but_usage_and_refusal_is_infrastructure() -> None:
    others = {kind for kind in LEAVES if not issubclass(kind, UsageError | InfrastructureError)}
    assert others == {VtraceError, RefusedError}


def test_a_caret_stands_under_the_fault() -> None:
    error = FilterError("no such field", "tcp,nw_scr=1", 4, 6)
    assert error.with_caret() == "no such field\n  tcp,nw_scr=1\n      ^^^^^^"


def test_a_fault_without_length_still_has_a_caret() -> None:
    assert FilterError("empty", "", 0, 0).with_caret().endswith("\n  ^")
