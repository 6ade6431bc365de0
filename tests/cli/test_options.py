"""Test that the help of an option lists the choices that the library accepts."""

import re

import pytest
from typer.main import get_command

from avscene.cli.main import app
from avscene.cli.output.results import FORMATS
from avscene.fusion.rules import RULES
from avscene.fusion.steps import STEPS


@pytest.mark.parametrize(
    ("command", "option", "choices"),
    [("classify", "format", FORMATS), ("fuse", "rule", RULES), ("fuse", "postprocess", STEPS)],
)
def test_the_help_of_an_option_lists_its_choices(command: str, option: str, choices: tuple[str, ...]) -> None:
    parameters = get_command(app).commands[command].params  # type: ignore[attr-defined]
    (text,) = (parameter.help for parameter in parameters if parameter.name == option)
    assert [word for word in re.findall(r"[\w-]+", text) if word in choices][: len(choices)] == list(choices)
