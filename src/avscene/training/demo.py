"""Run every stage on toytown: build the data set, train, evaluate on held-out locations, report, classify."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avscene.datasets.toytown.build import build_toytown, write_recording
from avscene.errors import UsageError
from avscene.evaluation.comparison import compare
from avscene.evaluation.measurement import measure
from avscene.evaluation.metrics import TableMetrics
from avscene.fusion import pooling, postprocess
from avscene.fusion.tree import FUSED
from avscene.inference import load
from avscene.media.sampling import Sampling
from avscene.media.workers import IsolatedRecording
from avscene.models.device import Runtime
from avscene.progress import StageProgress
from avscene.records import FloatArray, Prediction
from avscene.reports.evaluation.page import ReportRow, write_report
from avscene.reports.timeline import Timeline
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable
from avscene.training.experiment.checkpoints import OUT_OF_FOLD
from avscene.training.train import DEFAULT_HOLDOUT, train_system

NEW_SCENES = ("park", "tram")  # scenes of the new recording, one after the other
SCENE_SECONDS = 6  # of each scene in the new recording
THUMBNAIL = 120  # shorter side of the report's frames, pixels
NOT_FITTED, OUT_OF_FOLD_ROWS = "nothing", "out-of-fold training locations"
MEASURED_ON = "held-out locations"


@dataclass(frozen=True)
class DemoResult:
    """Metrics of each modality and rule, the report, the prediction of a new recording, and the trained system."""

    rows: tuple[ReportRow, ...]
    report: Path
    prediction: Prediction
    system: Path


def run_demo(output: Path, progress: StageProgress) -> DemoResult:
    """Run every stage and keep all files in the directory `output`.

    Raises:
        UsageError: `output` has the system of an earlier demo.
    """
    dataset, run, report = output / "toytown", output / "system", output / "report.html"
    if run.exists():
        raise UsageError(f"{run}: already exists; remove {output} or give another --output")
    build_toytown(dataset, progress=progress("building toytown"))
    runtime = Runtime.choose()
    trained = train_system("fast", dataset, run, holdout=DEFAULT_HOLDOUT, hop=1.0, runtime=runtime, progress=progress)
    system, tables = load(run), trained.held_out
    out_of_fold = {name: read_table(run / OUT_OF_FOLD / f"{name}.tsv") for name in ("audio", "video", FUSED)}
    fused = fused_tables(out_of_fold, tables)
    rows = report_rows(tables, fused)
    recording = output / "unseen.mp4"
    write_recording(recording, NEW_SCENES, seconds=SCENE_SECONDS)
    prediction = system.classify(recording)
    best = min((row for row in rows if row.name in fused), key=lambda row: row.measured.segments.log_loss).name
    shown = {"audio": tables["audio"], "video": tables["video"], best: fused[best]}
    write_report(
        report,
        title="avscene demo: toytown",
        summary=_summary(rows),
        rows=[replace(row, table=shown.get(row.name)) for row in rows],
        comparison=compare(shown),
        timeline=_timeline(recording, prediction),
    )
    return DemoResult(rows, report, prediction, run)


def fused_tables(out_of_fold: Mapping[str, ScoreTable], tables: Mapping[str, ScoreTable]) -> dict[str, ScoreTable]:
    """Fuse audio and video by every rule and post-processing, with weights fitted on `out_of_fold` tables."""
    fitting = np.stack([out_of_fold[name].probabilities for name in ("audio", "video")])
    truth = out_of_fold["audio"].truth_index
    scores = np.stack([tables[name].probabilities for name in ("audio", "video")])
    weights = pooling.group_weights(out_of_fold["audio"].groups or out_of_fold["audio"].filenames)
    exponents = pooling.fit_log_pool(fitting, truth, weights, needs=("audio", "video"))
    pooled, pool = pooling.log_pool(fitting, exponents), pooling.log_pool(scores, exponents)
    power = postprocess.fit_power(pooled, truth, weights)
    scale, bias = postprocess.fit_vector_scaling(pooled, truth, weights)
    fused: dict[str, FloatArray] = {
        "mean": pooling.mean(scores),
        "product": pooling.product(scores),
        "classwise": pooling.classwise(scores, pooling.fit_classwise(fitting, truth, weights=weights)),
        "log-pool": pool,
        "log-pool + power": postprocess.apply_power(pool, power),
        "log-pool + vector": postprocess.apply_vector_scaling(pool, scale, bias),
    }
    like = tables["audio"]
    return {
        name: ScoreTable(like.labels, like.filenames, values, like.starts, like.groups, like.truth)
        for name, values in fused.items()
    }


_NOTES = {
    "audio": "log-mels, frozen encoder, linear head",
    "video": "frames, frozen encoder, linear head",
    "mean": "p ~ sum of p",
    "product": "p ~ product of p",
    "classwise": "p ~ sum of precision x p (the paper's rule, as reconstructed here)",
    "log-pool": "p ~ product of p^a, one exponent a for each model",
    "log-pool + power": "one exponent for all scenes afterwards",
    "log-pool + vector": "scale and bias for each scene afterwards",
}


def report_rows(tables: Mapping[str, ScoreTable], fused: Mapping[str, ScoreTable]) -> tuple[ReportRow, ...]:
    """Measure each modality and each fusion rule."""
    all_tables = {"audio": tables["audio"], "video": tables["video"], **fused}
    unfitted = {"mean", "product"}
    return tuple(
        ReportRow(name, _NOTES[name], measure(table), NOT_FITTED if name in unfitted else OUT_OF_FOLD_ROWS, MEASURED_ON)
        for name, table in all_tables.items()
    )


def _summary(rows: tuple[ReportRow, ...]) -> str:
    metrics: dict[str, TableMetrics] = {row.name: row.measured.segments for row in rows}
    alone = min(("audio", "video"), key=lambda name: metrics[name].log_loss)
    best = min((name for name in metrics if name not in ("audio", "video")), key=lambda name: metrics[name].log_loss)
    return (
        "Toytown is synthetic: ten scenes whose audio and video are each confused with other scenes. "
        "The system was trained on two thirds of its locations and is evaluated here on the others, per second.\n\n"
        f"With {alone} alone, the better modality, the log loss is {metrics[alone].log_loss:.3f} and the accuracy "
        f"{metrics[alone].accuracy:.1%}. Fused ({best}), they are {metrics[best].log_loss:.3f} "
        f"and {metrics[best].accuracy:.1%}."
    )


def _timeline(path: Path, prediction: Prediction) -> Timeline:
    with IsolatedRecording(path) as recording:
        segments = list(recording.segments(Sampling(frame_size=THUMBNAIL)))
    by_start = {segment.start: segment.frames[0].pixels for segment in segments if segment.frames}
    return Timeline(
        title=f"{path.name}, a new recording of {' and then '.join(NEW_SCENES)}",
        labels=prediction.labels,
        starts=np.array([segment.start for segment in prediction.segments]),
        ends=np.array([segment.end for segment in prediction.segments]),
        probabilities=np.stack([segment.probabilities for segment in prediction.segments]),
        frames=[by_start[segment.start] for segment in prediction.segments],
    )
