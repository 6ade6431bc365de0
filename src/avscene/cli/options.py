"""Options that several commands share, and how they are checked."""

import logging
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from avscene.errors import UsageError

Choice = TypeVar("Choice", bound=str)

System = Annotated[str, typer.Option("--system", help="A name from `avscene systems`, or a checkpoint directory.")]
Data = Annotated[str, typer.Option("--data", help="A folder per class, a meta.csv, or a TAU directory.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
Offline = Annotated[bool, typer.Option("--offline", help="Use only weights that are on this machine.")]


class RepeatedFit(TyperCommand):
    """A command whose `--fit A B C` means `--fit A --fit B --fit C`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, every value of the option with its own `--fit`."""
        return super().parse_args(ctx, list(_repeated(args, "--fit")))


def _repeated(arguments: Iterable[str], option: str) -> Iterator[str]:
    values = None  # of the option so far; None outside of it
    for argument in arguments:
        if argument.startswith("-"):
            values = 0 if argument == option else None
        elif values is not None:
            values += 1
            if values > 1:
                yield option
        yield argument


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
    logging.getLogger("avscene").info(line)
