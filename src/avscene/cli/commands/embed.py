"""Command `embed`: add the embeddings of an encoder to a segment store."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption
from avscene.cli.options import Device, Offline, Ray, complete_encoders


def embed(
    store: Annotated[Path, typer.Argument(help="A store made by `prepare`.")],
    encoder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            autocompletion=complete_encoders,
            help="For example clip-rn101, efficientnet-lite0, openl3-audio.",
        ),
    ],
    device: Device = "auto",
    offline: Offline = False,
    ray: Ray = None,
) -> None:
    """Add a column of embeddings to a store; run it again to continue after an interruption."""
    from avscene.cli.cluster import cluster_at
    from avscene.cli.progress import stage_bars
    from avscene.training.prepare import embed_with

    with (
        cluster_at(ray),
        explain_interruption(f"the embeddings so far are in {store}; {CONTINUES}"),
        stage_bars() as stages,
    ):
        made, before = embed_with(
            store, encoder, device=device, offline=offline, progress=stages, on_cluster=ray is not None
        )
    size, done = made.embeddings(encoder).shape[1], "already exist" if before == "current" else "written"
    print(f"{store}: {len(made)} embeddings of {encoder}, {size} numbers each: {done}")
