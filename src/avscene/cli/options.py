"""Define the options that several commands share, their completion in a shell, and the check of their values."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from avscene.errors import UsageError, did_you_mean

Choice = TypeVar("Choice", bound=str)


def _starting(values: Callable[[], list[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [value for value in values() if value.startswith(incomplete)]

    return complete


def _systems() -> list[str]:
    from avscene.models.registry import systems

    return [name for name, row in systems().items() if not row.trained]


def _trainable() -> list[str]:
    from avscene.models.registry import systems

    return [name for name, row in systems().items() if row.trained]


def _formats() -> list[str]:
    from avscene.cli.output.results import FORMATS

    return list(FORMATS)


def _rules() -> list[str]:
    from avscene.fusion.rules import RULES

    return list(RULES)


def _encoders() -> list[str]:
    from avscene.models.encoders import ENCODERS

    return list(ENCODERS)


complete_systems = _starting(_systems)
complete_trainable = _starting(_trainable)
complete_formats = _starting(_formats)
complete_rules = _starting(_rules)
complete_encoders = _starting(_encoders)

System = Annotated[
    str,
    typer.Option(
        "--system",
        autocompletion=complete_systems,
        help="A name from `avscene systems`, a checkpoint directory, or hf://USER/REPO.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace outputs that exist; without it they are kept, with a message.")
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


def one_of(option: str, value: str, choices: tuple[Choice, ...]) -> Choice:
    """Return the choice that equals `value`.

    Raises:
        UsageError: `value` is not one of the choices.
    """
    for choice in choices:
        if value == choice:
            return choice
    raise UsageError(f"{option} {value!r} is not one of {', '.join(choices)}{did_you_mean(value, choices)}")
