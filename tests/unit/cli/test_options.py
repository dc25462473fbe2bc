from typing import get_args

import pytest

from vtrace_ovs.cli import options
from vtrace_ovs.cli.options import Format, ResultFormat


def test_there_are_two_formats_and_a_third_for_results() -> None:
    assert [output.value for output in Format] == ["tree", "json"]
    assert [output.value for output in ResultFormat] == ["tree", "json", "dot"]


@pytest.mark.parametrize("name", [name for name in vars(options) if name.endswith(("Option", "Argument"))])
def test_every_shared_option_has_help(name: str) -> None:
    _, parameter = get_args(getattr(options, name))
    assert parameter.help


def test_the_ranges_are_in_the_help() -> None:
    _, count = get_args(options.PacketCountOption)
    _, seconds = get_args(options.TraceTimeOption)
    assert "1-500" in count.help
    assert "1-600" in seconds.help
