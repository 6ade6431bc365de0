"""Commands that work on prediction tables: evaluate, mismatch, submit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avscene.apps.commands.options import one_of
from avscene.errors import UsageError

if TYPE_CHECKING:
    from avscene.evaluation.table import ScoreTable


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


def mismatch(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO.tsv", help="What a model of sound says.")],
    video: Annotated[Path, typer.Argument(metavar="VIDEO.tsv", help="What a model of the picture says.")],
    output: Annotated[Path, typer.Option(help="The scores (TSV); those of whole recordings go beside it.")],
    fit: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="AUDIO.tsv VIDEO.tsv", help="Fit the detector on these tables of other recordings."),
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(metavar="FILE|SYSTEM", help="Take the detector of an earlier --json, or of a trained system."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="LIST.tsv", help="What goes with what: audio, video and perhaps mismatch (0 or 1)."),
    ] = None,
    vadd: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="MANIPULATED.txt PRISTINE.txt", help="The same from the two published lists of VADD."),
    ] = None,
    classes: Annotated[str, typer.Option(help="all; or three: indoor, outdoor, vehicle for TAU's scenes.")] = "all",
    json: Annotated[Path | None, typer.Option("--json", help="Also write figures and detector here.")] = None,
) -> None:
    """Tell whether the sound of each recording belongs to its picture."""
    from avscene.apps import mismatch as detection
    from avscene.apps.mismatch_figures import figures, rendered
    from avscene.evaluation.pairs import pair_tables
    from avscene.evaluation.vadd import read_pairs, read_vadd

    three = one_of("--classes", classes, ("all", "three")) == "three"
    if (fit is None) == (detector is None):
        raise UsageError("a verdict needs a fitted detector: give --fit AUDIO.tsv VIDEO.tsv, or --detector; not both")
    if pairs is not None and vadd is not None:
        raise UsageError("give --pairs or --vadd; not both")
    tables = detection.read_tables(audio, video, three=three)
    listed = read_pairs(pairs) if pairs is not None else read_vadd(*vadd) if vadd is not None else None
    paired = pair_tables(*tables, listed)
    if fit is not None:
        fitted = detection.fit_detector(detection.read_tables(*fit, three=three), tables)
    else:
        assert detector is not None
        fitted = detection.read_detector(detector, tables)
    found = figures(paired, fitted, pristine=listed is None)
    print(rendered(found))
    for path in detection.write_scores(paired, fitted, output):
        print(f"{path}: written")
    if json is not None:
        detection.write_json(json, found, fitted)


def submit(
    table: Annotated[Path | None, typer.Argument(metavar="TABLE.tsv", help="A prediction table.")] = None,
    output: Annotated[Path, typer.Option(help="Directory for the file.")] = Path("submission"),
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of writing a submission, check this one.")
    ] = None,
) -> None:
    """Write the challenge's CSV (DCASE 2021 task 1B) from a table, or check one."""
    from avscene.apps import submit as submission

    if table is not None and check is None:
        print(submission.submit(table, output))
    elif table is None and check is not None:
        print(submission.check(check))
    else:
        raise UsageError("give a table to submit, or --check FILE; not both")
