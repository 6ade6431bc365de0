"""Options that several commands share, and how they are checked."""

import sys
from typing import Annotated, TypeVar

import typer

from avscene.errors import UsageError

Choice = TypeVar("Choice", bound=str)

System = Annotated[str, typer.Option("--system", help="A name from `avscene systems`, or a checkpoint directory.")]
Data = Annotated[str, typer.Option("--data", help="A folder per class, a meta.csv, or a TAU directory.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
Offline = Annotated[bool, typer.Option("--offline", help="Use only weights that are on this machine.")]


def one_of(option: str, value: str, choices: tuple[Choice, ...]) -> Choice:
    """The choice that `value` names.

    Raises:
        UsageError: none.
    """
    for choice in choices:
        if value == choice:
            return choice
    raise UsageError(f"{option} {value!r} is not one of {', '.join(choices)}")


def tell(line: str) -> None:
    """One line on standard error."""
    from avscene.apps.output import printable

    print(f"avscene: {printable(line)}", file=sys.stderr)
