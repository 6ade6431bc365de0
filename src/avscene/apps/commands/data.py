"""Commands that make and fetch data sets: data toytown."""

from pathlib import Path
from typing import Annotated

import typer


def toytown(
    directory: Annotated[Path, typer.Argument(help="Where; it is made.")],
    locations: Annotated[int, typer.Option(help="Locations of each scene; every third is for testing.")] = 6,
    recordings: Annotated[int, typer.Option(help="Recordings of each location.")] = 4,
    seconds: Annotated[int, typer.Option(help="Length of a recording.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed is another town.")] = 0,
) -> None:
    """Make a synthetic data set of the ten TAU scenes, in TAU's layout."""
    from avscene.apps.progress import stages
    from avscene.datasets.toytown import build_toytown

    with stages() as watch:
        build_toytown(
            directory,
            locations_per_scene=locations,
            recordings_per_location=recordings,
            seconds=seconds,
            seed=seed,
            progress=watch("building toytown"),
        )
    print(f"{directory}: {10 * locations * recordings} recordings of {10 * locations} locations")
