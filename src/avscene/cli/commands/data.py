"""Commands `data toytown`, `data download` and `data verify`: make, fetch and check data sets."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption

logger = logging.getLogger(__name__)


def toytown(
    directory: Annotated[Path, typer.Argument(help="Directory to create.")],
    locations: Annotated[int, typer.Option(help="Locations of each scene; every third is for testing.")] = 6,
    recordings: Annotated[int, typer.Option(help="Recordings of each location.")] = 4,
    seconds: Annotated[int, typer.Option(help="Length of a recording.")] = 5,
    seed: Annotated[int, typer.Option(help="Random seed; another seed makes other recordings.")] = 0,
) -> None:
    """Make a synthetic data set of the ten TAU scenes, in TAU's layout."""
    from avscene.cli.progress import stage_bars
    from avscene.datasets.toytown.build import build_toytown
    from avscene.outputs import check_output_directory

    check_output_directory(directory, [])
    with explain_interruption(f"the recordings so far are in {directory}; {CONTINUES}"), stage_bars() as stages:
        build_toytown(
            directory,
            locations_per_scene=locations,
            recordings_per_location=recordings,
            seconds=seconds,
            seed=seed,
            progress=stages("building toytown"),
        )
    print(f"{directory}: {10 * locations * recordings} recordings of {10 * locations} locations")


def download(
    dataset: Annotated[str, typer.Argument(help="tau-2021, or tau-2021-evaluation.")],
    subset: Annotated[str, typer.Option(help="examples, meta, audio, video or all.")] = "all",
    output: Annotated[
        Path | None,
        typer.Option(help="Directory of the data set; files in it are kept. [default: the data set's name]"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A mirror that has the archives under their names. [default: Zenodo]"),
    ] = None,
    discard_archives: Annotated[
        bool, typer.Option("--discard-archives", help="Delete each archive once it is unpacked: half the space.")
    ] = False,
) -> None:
    """Download and unpack a published data set; run it again to continue after an interruption."""
    from avscene.cli.progress import byte_bar
    from avscene.datasets.tau import archives
    from avscene.datasets.tau.archives import Archive, format_bytes
    from avscene.datasets.tau.download import download, free_space, plan_download
    from avscene.outputs import check_output_directory

    published, directory = archives.published_data_set(dataset), output or Path(dataset)
    check_output_directory(directory, [])
    logger.info(f"{published.title}: for non-commercial use only; its licence: {published.page}")
    plan = plan_download(published, subset, directory, source=source, discard=discard_archives)
    print(
        f"{directory}: {len(plan.wanted)} archives, {len(plan.wanted) - len(plan.remaining)} of them already unpacked; "
        f"{format_bytes(plan.missing_bytes)} to download, {format_bytes(free_space(directory))} free",
        flush=True,
    )

    def print_finished(archive: Archive, files: int) -> None:
        print(f"{archive.label}: verified and unpacked, {files} files", flush=True)

    with explain_interruption(f"what was downloaded so far is in {directory}; {CONTINUES}"), byte_bar() as progress:
        download(plan, progress, print_finished)
    follow = f"avscene classify {directory}" if subset == "examples" else f"avscene data verify {directory}"
    print(f"{directory}: {subset} of {dataset} is complete; next: {follow}")


def verify(
    directory: Annotated[Path, typer.Argument(help="A data set, downloaded with `data download` or not.")],
) -> None:
    """List which archives and files of a data set are missing or damaged."""
    from avscene.cli.output.verification import verification_text
    from avscene.cli.progress import byte_bar
    from avscene.datasets.verify import verify

    with byte_bar() as progress:
        found = verify(directory, progress)
    print(verification_text(directory, found))
    raise typer.Exit(0 if found.is_whole else 3)
