"""Describe the outputs of `classify` to what decides whether they may replace others."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avscene.cli.input_list import InputList
    from avscene.cli.output.results import ResultDestination
    from avscene.inference.journal.overwriting import RunOutput


def output_of_results(
    destination: "ResultDestination", url: str | None, paths: Sequence[str], inputs: "InputList", *, overwrite: bool
) -> "RunOutput":
    """Return the output of `classify` for `inputs`, expanded from `paths`."""
    from avscene.inference.journal.overwriting import RunOutput

    def files() -> Iterable[Path]:
        found = map(destination.file_of, inputs.paths()) if destination.is_single else [destination.output]
        return (file for file in found if file is not None)

    return RunOutput(files, url, destination.format, overwrite, tuple(paths), destination.is_single)
