"""Command `classify`: classify media files."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avscene.cli.messages import explain_interruption
from avscene.cli.options import Device, Offline, Precision, one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avscene.cli.output.results import ResultDestination
    from avscene.inference import System
    from avscene.records import Failure

logger = logging.getLogger(__name__)

ALL_SUCCEEDED, ALL_FAILED, SOME_FAILED = 0, 1, 3  # exit codes


Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH...", help="Files, folders, globs, `.txt` lists, or - for a list on standard input."),
]
DefaultSystem = Annotated[
    str | None,
    typer.Option(help="A name from `avscene systems`, or a checkpoint directory. [default: the best with weights]"),
]
Labels = Annotated[
    str | None, typer.Option(help="Scene names for a zero-shot system: a,b,c. [default: the ten TAU scenes]")
]
Prompts = Annotated[
    list[str] | None,
    typer.Option(help="For CLIP: raw, templates, or your own prompt with one {}; repeatable. [default: raw]"),
]
SystemHop = Annotated[float | None, typer.Option(help="Length of a segment in seconds. [default: the system's, 1]")]
MaxRisk = Annotated[
    float | None,
    typer.Option(
        help="For a checkpoint: largest share of wrong scenes among the named ones, for example 0.05; "
        "others are unknown."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(help="File to write; a folder for vtt, srt and audacity of many files. [default: standard output]"),
]
Frames = Annotated[str, typer.Option(help="exact, or keyframes: many times faster, from key frames only.")]
Decoder = Annotated[
    str, typer.Option(help="Decoder of the video: cpu, or a device that PyAV was built for, for example cuda.")
]


def classify(
    paths: Paths,
    system: DefaultSystem = None,
    labels: Labels = None,
    prompt: Prompts = None,
    hop: SystemHop = None,
    max_risk: MaxRisk = None,
    format: Annotated[  # noqa: A002  # the option's name
        str, typer.Option(help="table, json, jsonl, csv, tsv, vtt, srt or audacity.")
    ] = "table",
    output: Output = None,
    frames: Frames = "exact",
    decoder: Decoder = "cpu",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Classify the scene of each recording: per segment and overall."""
    from avscene.cli.inputs import check_result_files, expand
    from avscene.cli.output.formats import FORMATS
    from avscene.cli.output.results import ResultDestination
    from avscene.labels import LabelSet
    from avscene.media.hardware import check_decoder

    chosen_format = one_of("--format", format, FORMATS)
    keyframes = one_of("--frames", frames, ("exact", "keyframes")) == "keyframes"
    scenes = None if labels is None else LabelSet.parse(labels)
    inputs = expand(paths)
    destination = ResultDestination(chosen_format, output)
    destination.check_output(len(inputs))
    check_result_files(paths, inputs, system, destination)
    check_decoder(decoder)
    if system is None:
        from avscene.inference.default_system import choose_default_system

        system = choose_default_system(offline=offline)
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
    loaded.sampling(loaded.hop if hop is None else hop)  # raises for a wrong hop before the first file is read
    destination.check_collisions([item for item in inputs if isinstance(item, str)])
    n_failed = _classify_and_write(loaded, inputs, destination, hop=hop, keyframes=keyframes, decoder=decoder)
    raise typer.Exit(ALL_SUCCEEDED if not n_failed else ALL_FAILED if n_failed == len(inputs) else SOME_FAILED)


def _classify_and_write(
    system: "System",
    inputs: "Sequence[str | Failure]",
    destination: "ResultDestination",
    *,
    hop: float | None,
    keyframes: bool,
    decoder: str,
) -> int:
    """Write each result as soon as it is ready, log each failure, and return the number of failures."""
    from contextlib import closing

    from avscene.cli.output.files import printable
    from avscene.cli.output.results import ResultWriter
    from avscene.cli.output.timeline import short_time
    from avscene.cli.progress import progress_bars
    from avscene.inference.classify import classify_files
    from avscene.records import Failure

    n_failed = 0
    writer = ResultWriter(destination, len(inputs))

    def so_far() -> str:
        return f"{writer.n_written} of {len(inputs)} results are {writer.place}"

    with explain_interruption(so_far), writer, progress_bars() as bars:
        task = bars.add_task("", total=len(inputs))

        def show(path: str, seconds: float) -> None:
            bars.update(task, description=f"{printable(Path(path).name)} {short_time(seconds)}")

        outcomes = classify_files(system, inputs, hop=hop, keyframes=keyframes, decoder=decoder, progress=show)
        with closing(outcomes):
            for outcome in outcomes:
                if isinstance(outcome, Failure):
                    n_failed += 1
                    logger.error(str(outcome.error))
                bars.stop()  # the result is printed in place of the bar
                writer.write(outcome)
                bars.start()
                bars.advance(task)
    return n_failed
