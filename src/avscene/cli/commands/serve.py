"""Command `serve`: classify recordings over HTTP, and show the results on a page."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.commands.classify import DefaultSystem
from avscene.cli.options import Device, Offline, Precision, Workers

logger = logging.getLogger(__name__)

INTERRUPTED = 130
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; one for other machines needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 is any free one.")] = 8000,
    system: DefaultSystem = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    workers: Workers = None,
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where jobs are kept. [default: ~/.local/share/avscene/server]")
    ] = None,
    max_upload: Annotated[str, typer.Option(metavar="SIZE", help="Largest file in bytes, or as 500M or 2G.")] = "2G",
    max_duration: Annotated[float, typer.Option(metavar="HOURS", help="Longest recording.")] = 4.0,
    keep: Annotated[float, typer.Option(metavar="DAYS", help="How long finished jobs are kept.")] = 7.0,
    max_queue: Annotated[int, typer.Option(metavar="N", help="Largest number of jobs that wait or run.")] = 256,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="AVSCENE_TOKEN",
            show_envvar=False,
            help="Secret that clients must send. Better in the variable AVSCENE_TOKEN: every user of this machine can "
            "read command lines.",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Site whose pages may use this server: https://example.org; repeatable."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Results of `classify` to browse: a file, or a directory of files."),
    ] = None,
) -> None:
    """Classify recordings over HTTP, and show the results on a page in the browser."""
    from avscene.server.serve import serve as run_server
    from avscene.server.settings import ServerSettings, default_directory

    settings = ServerSettings(
        host=host,
        port=port,
        directory=directory or default_directory(),
        system=system,
        device=device,
        precision=precision,
        offline=offline,
        workers=workers,
        max_upload=_bytes("--max-upload", max_upload),
        max_duration=max_duration * 3600,
        keep=keep,
        max_queue=max_queue,
        token=token,
        allowed_origins=tuple(allow_origin or ()),
        results=results,
    )
    if not run_server(settings, lambda address: logger.info(f"listening on {address}")):
        os._exit(INTERRUPTED)  # does not wait for threads that compute


def _bytes(option: str, text: str) -> int:
    """Return a size such as `500M` in bytes.

    Raises:
        UsageError: the text is not a size.
    """
    from avscene.errors import UsageError

    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    try:
        return int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"{option} {text!r}: is not a size; try: {option} 500M") from None
