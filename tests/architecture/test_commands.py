"""Every command and option explains itself and is in the documentation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from vtrace_ovs.cli.app import app
from vtrace_ovs.cli.settings import __doc__ as settings_documentation
from vtrace_ovs.rendering import document

ROOT = Path(__file__).parents[2]
DOCUMENTATION = "".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
)


def commands(group: object, name: str) -> Iterator[tuple[str, object]]:
    for word, command in getattr(group, "commands", {}).items():
        yield f"{name} {word}", command
        yield from commands(command, f"{name} {word}")


COMMANDS = dict(commands(typer.main.get_command(app), "vtrace"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_have_help(name: str) -> None:
    command = COMMANDS[name]
    assert getattr(command, "help", None)
    options = [parameter for parameter in getattr(command, "params", []) if parameter.param_type_name == "option"]
    assert not [option.name for option in options if not option.help]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented(name: str) -> None:
    assert name in DOCUMENTATION


def test_every_variable_of_the_environment_is_documented() -> None:
    variables = {word.strip("`:") for word in (settings_documentation or "").split() if word.startswith("``VTRACE_")}
    assert variables
    assert not [variable for variable in variables if variable not in DOCUMENTATION]


def test_every_key_of_the_json_output_is_documented() -> None:
    text = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    source = Path(document.__file__).read_text(encoding="utf-8")
    keys = {line.split('"')[1] for line in source.splitlines() if line.strip().startswith('"') and '":' in line}
    assert len(keys) > 50
    assert not sorted(key for key in keys if f"`{key}`" not in text)
