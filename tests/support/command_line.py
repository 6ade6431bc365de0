"""The command line in this process, so that torch is imported once: `avscene ARGUMENTS`."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from avscene.cli.main import main


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def told(self) -> list[str]:
        """The lines on standard error: each is ours, none is Python's."""
        lines = self.err.splitlines()
        assert all(line.startswith("avscene: ") for line in lines), self.err
        assert "internal error" not in self.err
        return [line.removeprefix("avscene: ") for line in lines]

    def refused(self, code: int = 2) -> str:
        """The one line that says why nothing was done."""
        assert self.code == code, self.err
        assert self.out == ""
        *before, told = self.told
        assert all(line.startswith("training on") for line in before)
        return told


Command = Callable[..., Run]


def call(*arguments: object) -> int:
    """The exit code of `avscene ARGUMENTS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["avscene", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
    assert isinstance(left.value.code, int)
    return left.value.code


def run(capture: pytest.CaptureFixture[str], *arguments: object) -> Run:
    """The exit code and what was said."""
    capture.readouterr()
    code = call(*arguments)
    return Run(code, *capture.readouterr())
