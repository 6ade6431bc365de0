"""The command line: options in, exit codes out. What the commands do is done elsewhere.

Nothing heavy is imported before a command runs: `avscene --help` answers at once.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from avscene.errors import AvsceneError, UsageError

if TYPE_CHECKING:
    from avscene.evaluation.table import ScoreTable

Choice = TypeVar("Choice", bound=str)

INTERRUPTED = 130
USAGE = 2
MISSING = 4

app = typer.Typer(
    help="Tell where a video was recorded from what it shows and how it sounds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Make and fetch data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

System = Annotated[str, typer.Option("--system", help="A name from `avscene systems`, or a checkpoint directory.")]
Data = Annotated[str, typer.Option("--data", help="A folder per class, a meta.csv, or a TAU directory.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
Offline = Annotated[bool, typer.Option("--offline", help="Use only weights that are on this machine.")]


@app.command()
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
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Say where each recording was made: per segment and overall."""
    from typing import get_args

    from avscene.apps import default_system
    from avscene.apps.classify import Destination, classify_all
    from avscene.apps.formats import Format
    from avscene.apps.inputs import expand
    from avscene.labels import LabelSet

    chosen_format = _one_of("--format", format, get_args(Format))
    keyframes = _one_of("--frames", frames, ("exact", "keyframes")) == "keyframes"
    scenes = None if labels is None else LabelSet.parse(labels)
    inputs = expand(paths)
    destination = Destination(chosen_format, output)
    destination.check(len(inputs))
    if system is None:
        system, told = default_system.choose(offline=offline)
        for line in told:
            _tell(line)
    from avscene.pipeline import load

    loaded = load(system, labels=scenes, prompts=prompt or (), device=device, precision=precision, offline=offline)
    loaded.sampling(loaded.hop if hop is None else hop)  # a hop that makes no sense is told before the first file
    raise typer.Exit(classify_all(loaded, inputs, destination, hop=hop, keyframes=keyframes))


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="fast")],
    data: Data,
    output: Annotated[Path, typer.Option(help="Directory of the checkpoint.")],
    holdout: Annotated[
        str | None,
        typer.Option(metavar="COLUMN=VALUE", help="Recordings to leave out. [default: split=test where there is one]"),
    ] = None,
    hop: Annotated[float, typer.Option(help="Length of a segment in seconds.")] = 1.0,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Train a system on your own recordings."""
    from avscene.apps.progress import stages
    from avscene.datasets.layout import read_dataset
    from avscene.models.device import Runtime
    from avscene.training.train import train as train_recipe

    dataset = read_dataset(data)
    if holdout is None and "test" in dataset.values("split"):
        holdout = "split=test"
    part = dataset if holdout is None else dataset.hold_out(holdout)[0]
    _tell(f"training on {len(part.examples)} recordings, {len(part.labels)} scenes; held out: {holdout or 'nothing'}")
    runtime = Runtime.choose(device, precision)
    with stages() as watch:
        run = train_recipe(recipe, part, output, holdout=holdout, hop=hop, runtime=runtime, progress=watch("training"))
    for failure in run.failures:
        _tell(f"left out: {failure}")
    for note in run.notes:
        _tell(note)
    for name, figures in run.metrics.items():
        log_loss, accuracy, n = figures["log_loss"], figures["accuracy"], figures["n"]
        print(f"{name}: log loss {log_loss:.4f}, accuracy {accuracy:.4f} (out of fold, {n} segments)")
    print(f"{run.directory}: written; next: avscene classify VIDEO --system {run.directory}")
    raise typer.Exit(3 if run.failures else 0)


@app.command()
def predict(
    system: System,
    data: Data,
    output: Annotated[Path, typer.Option(help="The table (TSV).")],
    only: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="Only these recordings, such as fold=5.")
    ] = None,
    by_model: Annotated[bool, typer.Option("--by-model", help="Also write a table of each model, beside it.")] = False,
    labels: Annotated[
        str | None, typer.Option(help="Scene names for a zero-shot system. [default: those of the data]")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Write the probabilities of every segment of a data set as a table."""
    from avscene.apps.predict import predict as predict_all
    from avscene.apps.predict import write_tables
    from avscene.apps.progress import stages
    from avscene.datasets.layout import read_dataset
    from avscene.labels import LabelSet
    from avscene.models.checkpoint import is_checkpoint
    from avscene.pipeline import load

    whole = read_dataset(data)
    dataset = whole if only is None else whole.only(only)
    # Of the whole: tables of two parts must have the same columns.
    scenes = LabelSet.parse(labels) if labels is not None else None if is_checkpoint(Path(system)) else whole.labels
    loaded = load(system, labels=scenes, device=device, precision=precision, offline=offline)
    with stages() as watch:
        predicted = predict_all(loaded, dataset, watch("predicting"))
    for failure in predicted.failures:
        _tell(failure)
    for path in write_tables(predicted, output, by_model=by_model):
        print(f"{path}: written")
    raise typer.Exit(3 if predicted.failures else 0)


@app.command()
def evaluate(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE.tsv...")],
    truth: Annotated[Path | None, typer.Option(help="A meta.csv with the scenes, if the table has none.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with plots (HTML) here.")] = None,
) -> None:
    """Judge prediction tables: log loss, accuracy, calibration, per class."""
    from avscene.apps import figures
    from avscene.evaluation.table import read_table, with_truth

    read: dict[str, ScoreTable] = {}
    for path in tables:
        table = read_table(path)
        read[str(path)] = table if truth is None else with_truth(table, truth)
    evaluations = figures.evaluate_all(read)
    for name, evaluation in evaluations.items():
        print(figures.rendered(name, evaluation))
    if json is not None:
        figures.write_json(json, evaluations)
    if report is not None:
        figures.write_report_of(report, read, evaluations)


@app.command()
def systems() -> None:
    """List the systems, what each needs and whether its weights are here."""
    from avscene.apps.figures import systems_table

    print(systems_table())


@app.command()
def doctor(offline: Offline = False) -> None:
    """Look for what is wrong with this installation and say how to mend it."""
    from avscene.apps.doctor import examine

    broken = False
    for finding in examine(offline=offline):
        mark = "ok " if finding.mend is None else "BAD" if finding.fatal else "-- "
        print(f"{mark} {finding.what}: {finding.found}")
        if finding.mend is not None:
            print(f"      mend: {finding.mend}")
            broken = broken or finding.fatal
    raise typer.Exit(MISSING if broken else 0)


@app.command()
def demo(output: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo")) -> None:
    """Run every stage on a synthetic town: build, train, evaluate, report, classify. Minutes, no network."""
    from avscene.apps import figures, timeline
    from avscene.apps.demo import run_demo
    from avscene.apps.progress import stages

    with stages() as watch:
        made = run_demo(output, watch)
    print(figures.rows_table(made.rows))
    print(f"\nAn unseen recording, {made.film.source}:\n")
    print(timeline.rendered(made.film, coloured=sys.stdout.isatty()))
    print(f"Report: {made.report}")
    print(f"Yours:  avscene classify VIDEO --system {made.system}")


@data_app.command()
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


def _one_of(option: str, value: str, choices: tuple[Choice, ...]) -> Choice:
    for choice in choices:
        if value == choice:
            return choice
    raise UsageError(f"{option} {value!r} is not one of {', '.join(choices)}")


def _tell(line: str) -> None:
    from avscene.apps.output import printable

    print(f"avscene: {printable(line)}", file=sys.stderr)


def main() -> None:
    """Run the command line and leave with its exit code; errors are one line on standard error."""
    try:
        code = app(prog_name="avscene", standalone_mode=False)
    except AvsceneError as error:
        _tell(str(error))
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except ModuleNotFoundError as error:
        _tell(f"package {error.name} is not installed; run: avscene doctor")
        code = MISSING
    except BrokenPipeError:
        sys.stderr.close()  # the reader has left; there is nobody to tell
        code = 1
    except Exception as error:  # noqa: BLE001  # the last door: no traceback ever reaches a user
        code = _unexpected(error)
    if code == INTERRUPTED:
        _tell("interrupted; what was finished is kept")
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> int:
    told = getattr(error, "format_message", None)  # typer's own: an option or argument that cannot be parsed
    if told is None:
        _tell(f"internal error, please report it: {type(error).__name__}: {error}")
        return 1
    if type(error).__name__ == "NoArgsIsHelpError":
        print(told(), file=sys.stderr)
    else:
        _tell(f"{told()}; see avscene --help")
    return USAGE
