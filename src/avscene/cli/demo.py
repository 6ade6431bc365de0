"""Every stage in one go on toytown: build, train, evaluate on held-out locations, report, classify."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avscene.datasets.layout import read_dataset
from avscene.datasets.toytown.build import build_toytown, write_recording
from avscene.errors import UsageError
from avscene.evaluation.comparison import compare
from avscene.evaluation.measurement import measure
from avscene.evaluation.metrics import TableMetrics
from avscene.fusion import ensemble, postprocess
from avscene.fusion.tree import FUSED
from avscene.inference import load
from avscene.inference.predict import predict
from avscene.media.segments import Recording, Sampling
from avscene.models.device import Runtime
from avscene.progress import StageProgress
from avscene.records import FloatArray, Prediction
from avscene.reports.evaluation.page import ReportRow, Timeline, write_report
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable
from avscene.training.heads.frozen_encoders import OUT_OF_FOLD, train_fast

HOLDOUT = "split=test"
FILM = ("park", "tram")  # scenes of the unseen recording, one after the other
FILM_SECONDS = 6  # of each
THUMBNAIL = 120  # shorter side of the report's frames, pixels
NOTHING, CROSS_FITTED = "nothing", "out-of-fold training locations"
MEASURED = "held-out locations"


@dataclass(frozen=True)
class Demo:
    """What the demo made: its rows of figures, where the report and the film are, and what was said of the film."""

    rows: tuple[ReportRow, ...]
    report: Path
    film: Prediction
    system: Path


def run_demo(output: Path, watch: StageProgress) -> Demo:
    """Run every stage under `output`, which keeps all that is made.

    Raises:
        UsageError: `output` holds an earlier demo's system.
    """
    town, run, report = output / "toytown", output / "system", output / "report.html"
    if run.exists():
        raise UsageError(f"{run}: is there already; remove {output} or name another --output")
    build_toytown(town, progress=watch("building toytown"))
    training, test = read_dataset(town).hold_out(HOLDOUT)
    train_fast(training, run, holdout=HOLDOUT, hop=1.0, runtime=Runtime.choose(), progress=watch("training"))
    system = load(run)
    tables = predict(system, test.examples, test.source, watch("evaluating on held-out locations")).tables
    fitted = {name: read_table(run / OUT_OF_FOLD / f"{name}.tsv") for name in ("audio", "video", FUSED)}
    fused = fused_tables(fitted, tables)
    rows = report_rows(tables, fused)
    film = output / "unseen.mp4"
    write_recording(film, FILM, seconds=FILM_SECONDS)
    prediction = system.classify(film)
    best = min((row for row in rows if row.name in fused), key=lambda row: row.measured.segments.log_loss).name
    shown = {"audio": tables["audio"], "video": tables["video"], best: fused[best]}
    write_report(
        report,
        title="avscene demo: toytown",
        summary=_summary(rows),
        rows=[replace(row, table=shown.get(row.name)) for row in rows],
        comparison=compare(shown),
        timeline=_timeline(film, prediction),
    )
    return Demo(rows, report, prediction, run)


def fused_tables(fitted: Mapping[str, ScoreTable], tables: Mapping[str, ScoreTable]) -> dict[str, ScoreTable]:
    """`tables` of audio and video under every rule and post-processing, all weights taken from the `fitted` ones."""
    known = np.stack([fitted[name].probabilities for name in ("audio", "video")])
    truth = fitted["audio"].truth_index
    scores = np.stack([tables[name].probabilities for name in ("audio", "video")])
    exponents = ensemble.fit_log_pool(known, truth, needs=("audio", "video"))
    pooled, pool = ensemble.log_pool(known, exponents), ensemble.log_pool(scores, exponents)
    fused: dict[str, FloatArray] = {
        "mean": ensemble.mean(scores),
        "product": ensemble.product(scores),
        "classwise": ensemble.classwise(scores, ensemble.fit_classwise(known, truth)),
        "log-pool": pool,
        "log-pool + power": postprocess.power(pool, postprocess.fit_power(pooled, truth)),
        "log-pool + vector": postprocess.vector(pool, *postprocess.fit_vector(pooled, truth)),
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
    "classwise": "p ~ sum of precision x p (the seed's rule, as we read it)",
    "log-pool": "p ~ product of p^a, one exponent a for each model",
    "log-pool + power": "one exponent for all scenes afterwards",
    "log-pool + vector": "scale and bias for each scene afterwards",
}


def report_rows(tables: Mapping[str, ScoreTable], fused: Mapping[str, ScoreTable]) -> tuple[ReportRow, ...]:
    """A row of figures for each modality and each rule."""
    every = {"audio": tables["audio"], "video": tables["video"], **fused}
    unfitted = {"mean", "product"}
    return tuple(
        ReportRow(name, _NOTES[name], measure(table), NOTHING if name in unfitted else CROSS_FITTED, MEASURED)
        for name, table in every.items()
    )


def _summary(rows: tuple[ReportRow, ...]) -> str:
    figures: dict[str, TableMetrics] = {row.name: row.measured.segments for row in rows}
    alone = min(("audio", "video"), key=lambda name: figures[name].log_loss)
    best = min((name for name in figures if name not in ("audio", "video")), key=lambda name: figures[name].log_loss)
    return (
        "Toytown is synthetic: ten scenes whose sounds and pictures are each confused with other scenes. "
        "The system was trained on two thirds of its locations and is judged here on the rest, second by second.\n\n"
        f"By {alone} alone, the better of the two, the log loss is {figures[alone].log_loss:.3f} and the accuracy "
        f"{figures[alone].accuracy:.1%}. Fused ({best}) they are {figures[best].log_loss:.3f} "
        f"and {figures[best].accuracy:.1%}."
    )


def _timeline(film: Path, prediction: Prediction) -> Timeline:
    with Recording(film) as recording:
        segments = list(recording.segments(Sampling(frame_size=THUMBNAIL)))
    by_start = {segment.start: segment.frames[0].pixels for segment in segments if segment.frames}
    return Timeline(
        title=f"{film.name}, a recording of {' and then '.join(FILM)} that no one has seen before",
        labels=prediction.labels,
        starts=np.array([segment.start for segment in prediction.segments]),
        ends=np.array([segment.end for segment in prediction.segments]),
        probabilities=np.stack([segment.probabilities for segment in prediction.segments]),
        frames=[by_start[segment.start] for segment in prediction.segments],
    )
