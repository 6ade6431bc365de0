"""Commands that make, fetch, check and prepare data sets: data toytown, download, verify; prepare, embed."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Device, Offline

logger = logging.getLogger(__name__)


def toytown(
    directory: Annotated[Path, typer.Argument(help="Where; it is made.")],
    locations: Annotated[int, typer.Option(help="Locations of each scene; every third is for testing.")] = 6,
    recordings: Annotated[int, typer.Option(help="Recordings of each location.")] = 4,
    seconds: Annotated[int, typer.Option(help="Length of a recording.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed is another town.")] = 0,
) -> None:
    """Make a synthetic data set of the ten TAU scenes, in TAU's layout."""
    from avscene.cli.progress import stages
    from avscene.datasets.toytown.build import build_toytown

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


def download(
    dataset: Annotated[str, typer.Argument(help="tau-2021, or tau-2021-evaluation.")],
    subset: Annotated[str, typer.Option(help="examples, meta, audio, video or all.")] = "all",
    output: Annotated[
        Path | None, typer.Option(help="Where; what is there already is kept. [default: the data set's name]")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A mirror that has the archives under their names. [default: Zenodo]"),
    ] = None,
    discard_archives: Annotated[
        bool, typer.Option("--discard-archives", help="Delete each archive once it is unpacked: half the space.")
    ] = False,
) -> None:
    """Fetch a published data set and unpack it; run again, it goes on where it stopped."""
    from avscene.cli import fetching

    logger.info(fetching.licence(dataset))
    fetching.fetch(dataset, subset, output or Path(dataset), source=source, discard=discard_archives)


def verify(
    directory: Annotated[Path, typer.Argument(help="A data set, fetched with `data download` or not.")],
) -> None:
    """Say which archives and files of a data set are missing or damaged."""
    from avscene.cli import fetching

    text, is_whole = fetching.verified(directory)
    print(text)
    raise typer.Exit(0 if is_whole else 3)


def prepare(
    data: Annotated[Path, typer.Argument(help="A folder per class, a meta.csv, or a TAU directory.")],
    output: Annotated[
        Path, typer.Option(metavar="STORE", help="Directory of the store; one that is there is updated.")
    ],
    hop: Annotated[float, typer.Option(help="Length of a segment in seconds.")] = 1.0,
    frames_per_second: Annotated[float, typer.Option(help="At least; a segment has an odd number of frames.")] = 3.0,
    sample_rate: Annotated[int, typer.Option(help="Of the sound, in Hz.")] = 48_000,
    frame_size: Annotated[int, typer.Option(help="Shorter side of the frames in pixels, at most.")] = 288,
) -> None:
    """Decode a data set once, into a store that training reads; run again, it goes on where it stopped."""
    from avscene.training.prepare import prepare_store, spec_of

    spec = spec_of(hop, frames_per_second, sample_rate, frame_size)
    raise typer.Exit(0 if prepare_store(data, output, spec) else 3)


def embed(
    store: Annotated[Path, typer.Argument(help="A store made by `prepare`.")],
    encoder: Annotated[str, typer.Option(metavar="NAME", help="Such as clip-rn101, efficientnet-lite0, openl3-audio.")],
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Add a column of embeddings to a store; run again, it goes on where it stopped."""
    from avscene.training.prepare import embed_encoder

    embed_encoder(store, encoder, device=device, offline=offline)
