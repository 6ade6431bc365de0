"""Commands that use what is there: classify, systems, doctor, demo."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Device, Offline, Precision, one_of
from avscene.errors import WeightsError

logger = logging.getLogger(__name__)


def classify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Files, folders, globs, `.txt` lists, or - for a list on standard input."
        ),
    ],
    system: Annotated[
        str | None,
        typer.Option(
            help="A name from `avscene systems`, or a checkpoint directory. [default: the best that can be had]"
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Scene names for a zero-shot system: a,b,c. [default: the ten TAU scenes]"),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="For CLIP: raw, templates, or your own with one {}; may be repeated. [default: raw]"),
    ] = None,
    hop: Annotated[
        float | None, typer.Option(help="Length of a segment in seconds. [default: the system's, 1]")
    ] = None,
    max_risk: Annotated[
        float | None,
        typer.Option(help="For a checkpoint: name no scene unless at most this share of those named is wrong: 0.05."),
    ] = None,
    format: Annotated[  # noqa: A002  # the option's name
        str, typer.Option(help="table, json, jsonl, csv, tsv, vtt, srt or audacity.")
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option(
            help="File to write; a folder for vtt, srt and audacity of many files. [default: standard output]"
        ),
    ] = None,
    frames: Annotated[
        str, typer.Option(help="exact, or keyframes: many times faster, and sees older frames.")
    ] = "exact",
    decoder: Annotated[
        str, typer.Option(help="What decodes pictures: cpu, or a device that PyAV was built for, such as cuda.")
    ] = "cpu",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Say where each recording was made: per segment and overall."""
    from typing import get_args

    from avscene.cli.inputs import expand
    from avscene.cli.output.formats import Format
    from avscene.inference import default_system
    from avscene.inference.classify import Destination, classify_all
    from avscene.labels import LabelSet
    from avscene.media.hardware import check_decoder

    chosen_format = one_of("--format", format, get_args(Format))
    keyframes = one_of("--frames", frames, ("exact", "keyframes")) == "keyframes"
    scenes = None if labels is None else LabelSet.parse(labels)
    inputs = expand(paths)
    destination = Destination(chosen_format, output)
    destination.check(len(inputs))
    check_decoder(decoder)
    if system is None:
        system, told = default_system.choose(offline=offline)
        for line in told:
            logger.info(line)
    from avscene.inference import load

    loaded = load(
        system,
        labels=scenes,
        prompts=prompt or (),
        max_risk=max_risk,
        device=device,
        precision=precision,
        offline=offline,
    )
    loaded.sampling(loaded.hop if hop is None else hop)  # a hop that makes no sense is told before the first file
    raise typer.Exit(classify_all(loaded, inputs, destination, hop=hop, keyframes=keyframes, decoder=decoder))


def systems() -> None:
    """List the systems, what each needs and whether its weights are here."""
    from avscene.cli.output.figures import systems_table

    print(systems_table())


def doctor(offline: Offline = False) -> None:
    """Look for what is wrong with this installation and say how to mend it."""
    from avscene.cli.doctor import examine

    broken = False
    for finding in examine(offline=offline):
        mark = "ok " if finding.mend is None else "BAD" if finding.fatal else "-- "
        print(f"{mark} {finding.what}: {finding.found}")
        if finding.mend is not None:
            print(f"      mend: {finding.mend}")
            broken = broken or finding.fatal
    raise typer.Exit(WeightsError.exit_code if broken else 0)


def demo(output: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo")) -> None:
    """Run every stage on a synthetic town: build, train, evaluate, report, classify. Minutes, no network."""
    from avscene.cli.demo import run_demo
    from avscene.cli.output import figures, timeline
    from avscene.cli.progress import stages

    with stages() as watch:
        made = run_demo(output, watch)
    print(figures.rows_table(made.rows))
    print(f"\nAn unseen recording, {made.film.source}:\n")
    print(timeline.rendered(made.film, coloured=sys.stdout.isatty()))
    print(f"Report: {made.report}")
    print(f"Yours:  avscene classify VIDEO --system {made.system}")
