"""Define the options that several commands share, and check option values."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from avscene.errors import UsageError

Choice = TypeVar("Choice", bound=str)

System = Annotated[
    str, typer.Option("--system", help="A name from `avscene systems`, a checkpoint directory, or hf://USER/REPO.")
]
Data = Annotated[str, typer.Option("--data", help="A folder per class, a meta.csv, or a TAU directory.")]
Recordings = Annotated[
    str,
    typer.Option(
        "--data",
        help="A data set (a folder per class, a meta.csv, a TAU directory), or recordings without labels: a folder of "
        "media files, TAU's evaluation set, a list of paths (.txt), a table without labels.",
    ),
]
TrainingData = Annotated[
    str, typer.Option("--data", help="A folder per class, a meta.csv, a TAU directory, or a store.")
]
Holdout = Annotated[
    str | None,
    typer.Option(metavar="COLUMN=VALUE", help="Recordings to leave out. [default: split=test if the data set has it]"),
]
Hop = Annotated[float, typer.Option(help="Length of a segment in seconds.")]
Prior = Annotated[
    float | None,
    typer.Option(
        "--prior",
        help="Share of recordings whose audio does not belong to their video, for the mismatch score. "
        "[default: 0.01, an archive with few]",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=NUMBER",
        help="What one recording may need: hours=24, megapixels=134, streams=256, memory=2 (GiB), stall=60 (s "
        "without progress), download=16 (GiB of a file in object storage), threads=16 (of a decoder); repeatable.",
    ),
]
Program = Annotated[
    int | None,
    typer.Option(
        "--program",
        metavar="NUMBER",
        help="Programme to read of a transport stream that has several, by its number. [default: that of the best "
        "video]",
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try recordings again that failed in an earlier run with this output.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Number of recordings decoded at a time. [default: one for each processor, at most 8]"),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Compute on a Ray cluster: local, auto, HOST:PORT or ray://HOST:PORT. Inputs and --output must be in "
        "folders that all nodes see.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Use only weights that are on this machine.")]


class RepeatedFitCommand(TyperCommand):
    """A command that reads `--fit A B C` as `--fit A --fit B --fit C`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments after repeating `--fit` before each of its values."""
        return super().parse_args(ctx, list(_repeat_option(args, "--fit")))


def _repeat_option(arguments: Iterable[str], option: str) -> Iterator[str]:
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
    """Return the choice that equals `value`.

    Raises:
        UsageError: `value` is not one of the choices.
    """
    for choice in choices:
        if value == choice:
            return choice
    raise UsageError(f"{option} {value!r} is not one of {', '.join(choices)}")
