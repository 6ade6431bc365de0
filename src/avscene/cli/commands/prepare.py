"""Command `prepare`: decode a data set into a segment store."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption
from avscene.cli.options import Hop, Ray


def prepare(
    data: Annotated[Path, typer.Argument(help="A folder per class, a meta.csv, or a TAU directory.")],
    output: Annotated[
        Path, typer.Option(metavar="STORE", help="Directory of the store; an existing store is updated.")
    ],
    hop: Hop = 1.0,
    frames_per_second: Annotated[float, typer.Option(help="At least; a segment has an odd number of frames.")] = 3.0,
    sample_rate: Annotated[int, typer.Option(help="Sample rate of the audio in Hz.")] = 48_000,
    frame_size: Annotated[int, typer.Option(help="Shorter side of the frames in pixels, at most.")] = 288,
    ray: Ray = None,
) -> None:
    """Decode a data set once, into a store for training; run it again to continue after an interruption."""
    from avscene.cli.cluster import cluster_at
    from avscene.cli.progress import stage_bars
    from avscene.datasets.layout import class_folders_at
    from avscene.outputs import check_output_directory
    from avscene.training.prepare import prepare_store, store_spec

    check_output_directory(output, [data], sealed=class_folders_at(data))
    spec = store_spec(hop, frames_per_second, sample_rate, frame_size)
    with (
        cluster_at(ray),
        explain_interruption(f"what was decoded so far is in {output}; {CONTINUES}"),
        stage_bars() as stages,
    ):
        made = prepare_store(data, output, spec, stages, on_cluster=ray is not None)
    recordings = len(made.store.data.examples)
    print(
        f"{output}: {len(made.store)} segments of {recordings} recordings, {made.decoded} of them decoded now; "
        f"next: avscene embed {output} --encoder NAME"
    )
    raise typer.Exit(3 if made.failures else 0)
