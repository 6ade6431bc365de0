"""Command `embed`: add the embeddings of an encoder to a segment store."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption
from avscene.cli.options import Device, Offline


def embed(
    store: Annotated[Path, typer.Argument(help="A store made by `prepare`.")],
    encoder: Annotated[
        str, typer.Option(metavar="NAME", help="For example clip-rn101, efficientnet-lite0, openl3-audio.")
    ],
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Add a column of embeddings to a store; run it again to continue after an interruption."""
    from avscene.training.prepare import embed_encoder

    with explain_interruption(CONTINUES):
        embed_encoder(store, encoder, device=device, offline=offline)
