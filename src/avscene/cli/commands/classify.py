"""Command `classify`: classify media files."""

import logging
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avscene.cli.messages import InterruptionError
from avscene.cli.options import (
    Device,
    Limit,
    Offline,
    Overwrite,
    Precision,
    Prior,
    Program,
    Ray,
    RetryFailed,
    Workers,
    complete_formats,
    complete_systems,
    one_of,
)

if TYPE_CHECKING:
    from avscene.cli.input_list import InputList
    from avscene.cli.output.results import ResultDestination
    from avscene.cli.output.uploads import OutputPlace
    from avscene.cli.output.writers import ResultWriter
    from avscene.cli.progress import RunMeter
    from avscene.inference import System
    from avscene.inference.journal.overwriting import RunOutput
    from avscene.inference.ledger.cluster import Cluster
    from avscene.inference.runs.computing import Settings
    from avscene.inference.runs.files import FileRun
    from avscene.reports.recordings.rows import RowKind

logger = logging.getLogger(__name__)

ALL_SUCCEEDED, ALL_FAILED, SOME_FAILED = 0, 1, 3  # exit codes


Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", help="Files, folders, globs, URLs, `.txt` lists, or - for a list on standard input."
    ),
]
DefaultSystem = Annotated[
    str | None,
    typer.Option(
        autocompletion=complete_systems,
        help="A name from `avscene systems`, a checkpoint directory, or hf://USER/REPO. "
        "[default: the best with weights]",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Scene names for a zero-shot system: a,b,c, or a file with a name a line. [default: the ten TAU scenes]"
    ),
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
    str | None,
    typer.Option(
        metavar="PATH",
        help="File to write, whose suffix is the format, or s3://, gs:// or az://; a folder for vtt, srt and audacity "
        "of many files. [default: standard output]",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        autocompletion=complete_formats,
        help="table, json, jsonl, csv, tsv, parquet, html, vtt, srt or audacity. "
        "[default: that of the suffix of --output, else table]",
    ),
]
Rows = Annotated[
    str | None,
    typer.Option(help="A row of csv, tsv or parquet for each of: segments, spans or recordings. [default: segments]"),
]
Journal = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Journal of the run: with that of another output, the same results are written without computing. "
        "[default: beside --output]",
    ),
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
    prior: Prior = None,
    format: Format = None,  # noqa: A002  # the option's name
    output: Output = None,
    rows: Rows = None,
    journal: Journal = None,
    frames: Frames = "exact",
    decoder: Decoder = "cpu",
    program: Program = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    workers: Workers = None,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    overwrite: Overwrite = False,
    ray: Ray = None,
) -> None:
    """Classify the scene of each recording: per segment and overall."""
    from avscene.cli.inputs import check_result_files, expand, names_one_file
    from avscene.cli.output.results import ResultDestination
    from avscene.cli.output.uploads import OutputPlace
    from avscene.cli.overwriting import output_of_results
    from avscene.labels import LabelSet
    from avscene.media.hardware import check_decoder
    from avscene.media.limits import Limits
    from avscene.media.sampling import check_hop
    from avscene.media.workers import default_workers, start_workers
    from avscene.models.registry import check_usable

    place = OutputPlace.of(output)
    chosen, row_kind = _format_and_rows(format, rows, place)
    keyframes = one_of("--frames", frames, ("exact", "keyframes")) == "keyframes"
    scenes = None if labels is None else LabelSet.parse(labels)
    if system is not None:
        check_usable(system)
    if hop is not None:
        check_hop(hop)
    inputs = expand(paths)
    is_list = not names_one_file(paths)
    destination = ResultDestination.of(chosen, row_kind, place, len(inputs), is_list=is_list, journal=journal)
    destination.check_output(len(inputs))
    check_result_files(paths, inputs, system, destination)
    place.check(chain(paths, inputs.paths()))
    replaced = output_of_results(destination, place.url, paths, inputs, overwrite=overwrite)
    replaced.check_without_journal(destination.journal(len(inputs) if ray is None else max(len(inputs), 2)))
    check_decoder(decoder)
    limits = Limits.parse(limit or [])
    if ray is None:
        start_workers(min(len(inputs), workers or default_workers()))
    else:
        destination.check_journal()
    if system is None:
        from avscene.inference.default_system import choose_default_system

        system = choose_default_system(offline=offline)
    from avscene.inference.runs.computing import Settings

    options: dict[str, Any] = {
        "labels": scenes,
        "prompts": prompt or (),
        "max_risk": max_risk,
        "prior": prior,
        "device": device,
        "precision": precision,
        "offline": offline,
    }
    loaded = _load(system, options)
    loaded.sampling(loaded.hop if hop is None else hop)  # raises for a wrong hop before the first file is read
    destination.check_collisions(inputs.paths())
    if scenes is None:
        _log_default_scenes(loaded)
    settings = Settings(hop, keyframes, decoder, limits, workers, program)
    cluster = None if ray is None else _cluster(ray, loaded, system, options)
    meter = _classify_and_write(loaded, inputs, destination, settings, cluster, replaced, retry_failed=retry_failed)
    meter.log_summary(None if place.path is None or place.url is not None else str(place.path))
    if place.path is not None:
        place.publish([place.path], destination.journal(max(len(inputs), 2)))
    raise typer.Exit(_exit_code(meter.n_failed, len(inputs)))


def _load(system: str, options: dict[str, Any]) -> "System":
    from avscene.cli.progress import stage_bars
    from avscene.inference import load

    with stage_bars() as stages:
        return load(system, **options, progress=stages)


def _format_and_rows(named_format: str | None, named_rows: str | None, place: "OutputPlace") -> "tuple[str, RowKind]":
    """Return the format of the results and the kind of rows, by the options and the suffix of the output."""
    from avscene.cli.output.results import FORMATS, choose_format, choose_rows
    from avscene.reports.recordings.rows import ROW_KINDS

    chosen = choose_format(None if named_format is None else one_of("--format", named_format, FORMATS), place.path)
    return chosen, choose_rows(None if named_rows is None else one_of("--rows", named_rows, ROW_KINDS), chosen)


def _exit_code(n_failed: int, n_inputs: int) -> int:
    return ALL_SUCCEEDED if not n_failed else ALL_FAILED if n_failed == n_inputs else SOME_FAILED


def _log_default_scenes(system: "System") -> None:
    """Log the scenes of a zero-shot system if the user named none, and how to name others."""
    from avscene.models import registry

    if registry.is_system(system.name) and not registry.find(system.name).trained:
        logger.info(
            f"scenes: the ten of TAU Urban Audio-Visual Scenes, the default of {system.name} "
            f"({', '.join(system.labels)}); others: --labels NAME,NAME,..."
        )


def _cluster(address: str, loaded: "System", system: str, options: dict[str, Any]) -> "Cluster":
    from avscene.inference.ledger.cluster import Cluster
    from avscene.models.sharing.reference import is_hub_reference

    return Cluster(address, loaded.name if is_hub_reference(system) else system, options)  # the name has the commit


def _classify_and_write(
    system: "System",
    inputs: "InputList",
    destination: "ResultDestination",
    settings: "Settings",
    cluster: "Cluster | None",
    replaced: "RunOutput",
    *,
    retry_failed: bool,
) -> "RunMeter":
    """Write the results, log each failure, and return the counts of the run; log them if it is interrupted."""
    from contextlib import ExitStack

    from avscene.cli.cluster import cluster_at
    from avscene.cli.output.writers import WriterSettings, result_writer
    from avscene.cli.progress import RunMeter
    from avscene.cli.signals import stop_on_signals
    from avscene.inference.journal import open_journal
    from avscene.inference.runs.files import FileRun
    from avscene.reports.recordings.markup import SystemInfo

    info = SystemInfo(system.name, system.labels, {model.name: model.needs for model in system.models})
    meter = RunMeter(len(inputs), inputs.ignored)
    with ExitStack() as stack:
        path = destination.journal(len(inputs) if cluster is None else max(len(inputs), 2))
        journal = None if path is None else stack.enter_context(open_journal(path, settings.fingerprint(system)))
        if journal is not None:
            replaced.begin(journal, settings.fingerprint(system))
        stack.enter_context(cluster_at(None if cluster is None else cluster.address))
        stop = stack.enter_context(stop_on_signals())
        remote = None
        if cluster is not None and journal is not None:
            remote = cluster.computing(system, settings, journal, stop, lines=destination.format == "jsonl")
        run = FileRun(system, inputs, settings, journal, retry_failed=retry_failed, stop=stop, remote=remote)
        writing = WriterSettings(destination, info, settings.limits, settings.program, stop)
        writer = stack.enter_context(result_writer(writing, len(inputs), journal, run))
        try:
            _write_outcomes(run, writer, meter, printing=destination.output is None)
            if meter.n_done < len(inputs):  # stopped by a signal
                raise KeyboardInterrupt
            writer.finish()
            if journal is not None:
                replaced.finish(journal, settings.fingerprint(system))
        except KeyboardInterrupt:
            kept = writer.kept()
            if kept is None:
                raise
            meter.log_summary()
            raise InterruptionError(kept) from None
    return meter


def _write_outcomes(run: "FileRun", writer: "ResultWriter", meter: "RunMeter", *, printing: bool) -> None:
    from contextlib import closing, nullcontext

    from avscene.cli.output.files import printable
    from avscene.cli.progress import RunProgress
    from avscene.progress import short_time
    from avscene.storage.urls import shown

    with RunProgress(meter) as progress:

        def show(path: str, seconds: float) -> None:
            progress.show(f"{printable(Path(shown(path)).name)} {short_time(seconds)}")

        with closing(run.outcomes(show)) as outcomes:
            for classified in outcomes:
                if classified.failure is not None:
                    logger.error(str(classified.failure.error))
                with progress.paused() if printing else nullcontext():
                    writer.write(classified)
                meter.count(classified)
                progress.show()
