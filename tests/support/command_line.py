"""Run `avscene ARGUMENTS` in this process, so that torch is imported only once."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from avscene.cli.main import main

DEFAULT_SCENES = "avscene: scenes: the ten of TAU "  # the beginning of a message of each run without --labels


@dataclass(frozen=True)
class Run:
    """The exit code and the output of a command; `notices` name the default scenes, and are not in `err`."""

    code: int
    out: str
    err: str
    notices: list[str] = field(default_factory=list)

    @property
    def messages(self) -> list[str]:
        """The lines on standard error without their prefix; every line must be a message of avscene."""
        lines = self.err.splitlines()
        assert all(line.startswith("avscene: ") for line in lines), self.err
        assert "internal error" not in self.err
        return [line.removeprefix("avscene: ") for line in lines]

    def error(self, code: int = 2) -> str:
        """The error message of a command that failed with exit code `code` and printed no results."""
        assert self.code == code, self.err
        assert self.out == ""
        *before, message = self.messages
        assert all(line.startswith("training on") for line in before)
        return message


Command = Callable[..., Run]


def call(*arguments: object) -> int:
    """Run a command and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["avscene", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
    assert isinstance(exit_info.value.code, int)
    return exit_info.value.code


def run(capture: pytest.CaptureFixture[str], *arguments: object) -> Run:
    """Run a command and return its exit code and output."""
    capture.readouterr()
    code = call(*arguments)
    out, err = capture.readouterr()
    lines = err.splitlines(keepends=True)
    notices = [line.removeprefix("avscene: ").rstrip() for line in lines if line.startswith(DEFAULT_SCENES)]
    return Run(code, out, "".join(line for line in lines if not line.startswith(DEFAULT_SCENES)), notices)
