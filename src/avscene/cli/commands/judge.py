"""Commands that work on prediction tables: evaluate, fuse, mismatch, submit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avscene.cli.options import one_of
from avscene.errors import UsageError

if TYPE_CHECKING:
    from avscene.fusion.fuse import Wanted
    from avscene.tables.score_table import ScoreTable


def evaluate(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE.tsv...")],
    truth: Annotated[Path | None, typer.Option(help="A meta.csv with the scenes, if the table has none.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with plots (HTML) here.")] = None,
    trained_on: Annotated[
        Path | None,
        typer.Option(metavar="META.csv|TABLE.tsv", help="Training recordings: judges unseen scene-city pairs apart."),
    ] = None,
) -> None:
    """Judge prediction tables: figures with intervals, per class and city; several of the same rows are compared."""
    from avscene.cli.output import figures
    from avscene.cli.output.files import Sink
    from avscene.tables.prediction_table import add_truth, read_table

    read: dict[str, ScoreTable] = {}
    for path in tables:
        table = read_table(path)
        read[str(path)] = table if truth is None else add_truth(table, truth)
    judgement = figures.judge(read, trained_on)
    with Sink(None) as sink:
        sink.write(figures.rendered(judgement) + "\n")
    if json is not None:
        figures.write_json(json, judgement)
    if report is not None:
        figures.write_report_of(report, judgement)


def fuse(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE.tsv...", help="One of each system, of the same rows.")],
    output: Annotated[Path, typer.Option(help="The fused table (TSV).")],
    rule: Annotated[
        str | None, typer.Option(help="mean, product, samplewise, classwise or log-pool. [default: log-pool]")
    ] = None,
    confidence: Annotated[
        str, typer.Option(help="What classwise weighs by: precision, recall or f1, of each system and scene.")
    ] = "precision",
    postprocess: Annotated[
        str, typer.Option(metavar="STEPS", help="none; or power, vector, smooth, several as power,smooth.")
    ] = "none",
    fit: Annotated[
        list[Path] | None,
        typer.Option(metavar="TABLE.tsv...", help="Fit weights on these: the systems in the same order, other groups."),
    ] = None,
    cross_fit: Annotated[
        int | None, typer.Option(metavar="N", help="Fit weights on the other folds of N, dealt by group.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Fuse by weights that an earlier --json kept.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write weights and figures here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with plots (HTML) here.")] = None,
) -> None:
    """Fuse the predictions of several systems by weights that are never judged on what they were fitted on."""
    from avscene.cli.output import figures
    from avscene.cli.output.files import Sink
    from avscene.fusion import fuse as fusing
    from avscene.tables.prediction_table import write_table

    if sum(bool(given) for given in (fit, cross_fit is not None, weights)) > 1:
        raise UsageError("--fit, --cross-fit and --weights each say where weights come from; give one of them")
    if weights is not None:
        if rule is not None or postprocess != "none":
            raise UsageError("--weights brings its own rule and steps; leave --rule and --postprocess out")
        aligned, fused = fusing.fuse_by_weights(tables, weights)
    else:
        wanted = _wanted(rule or "log-pool", confidence, postprocess, fit or [], cross_fit)
        aligned, fused = fusing.fuse_files(tables, wanted)
    judgement = fusing.judged(aligned, fused)
    if judgement is None and report is not None:
        raise UsageError("--report needs the truth: a column true_label, or names like TAU's")
    write_table(output, fused.table)
    if judgement is not None:
        with Sink(None) as sink:
            sink.write(figures.rendered(judgement) + "\n")
        if report is not None:
            fusing.write_fusion_report(report, fused, judgement)
    if json is not None:
        fusing.write_weights(json, fused, judgement)
    print(f"{output}: written; weights fitted on: {fused.fitted_on}")


def _wanted(rule: str, confidence: str, postprocess: str, fit: list[Path], cross_fit: int | None) -> "Wanted":
    from typing import get_args

    from avscene.fusion.ensemble import Confidence
    from avscene.fusion.fuse import Wanted
    from avscene.fusion.steps import StepKind
    from avscene.fusion.tree import RuleKind

    steps = () if postprocess == "none" else tuple(step.strip() for step in postprocess.split(","))
    return Wanted(
        rule=one_of("--rule", rule, get_args(RuleKind)),
        steps=tuple(one_of("--postprocess", step, get_args(StepKind)) for step in steps),
        confidence=one_of("--confidence", confidence, get_args(Confidence)),
        fit=tuple(fit),
        folds=cross_fit,
    )


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
    from avscene.cli import mismatch as detection
    from avscene.mismatch.metrics import figures, rendered
    from avscene.mismatch.pairs import pair_tables
    from avscene.mismatch.vadd import read_pairs, read_vadd

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
    from avscene.cli import submit as submission

    if table is not None and check is None:
        print(submission.submit(table, output))
    elif table is None and check is not None:
        print(submission.check(check))
    else:
        raise UsageError("give a table to submit, or --check FILE; not both")
