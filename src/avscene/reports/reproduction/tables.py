"""A reproduction to tables of text, the same for Markdown and HTML: what is shown, in which order, and how."""

import math
from collections.abc import Callable

from avscene.evaluation.bootstrap import LEVEL, RESAMPLES
from avscene.evaluation.measurement import Measurement, SubsetMetrics
from avscene.evaluation.metrics import TableMetrics
from avscene.reports.reproduction.rows import Absent, Epoch, Reproduction, ReproductionRow
from avscene.reports.text_table import MINUS, NOTHING, TextTable, count, number, percent, text_table

MOST_PAIRS = 12  # named in a sentence

Measured = tuple[ReproductionRow, Measurement]
Shown = Callable[[float], str]

MEANINGS = (
    (
        "Log loss",
        "Minus the natural logarithm of the probability of the true scene, on average: 0 is perfect, confident "
        "mistakes cost most. Less is better.",
    ),
    ("Accuracy", "Share of the rows whose most probable scene is the true one. More is better."),
    ("Per segment", "Every second of a recording is judged by itself and counts by itself."),
    ("Per recording", "The probabilities of all seconds of a recording are averaged, and it is judged once."),
    ("Class mean", "The figure of each true scene, then averaged: every scene counts alike."),
    (
        "In brackets",
        f"The {LEVEL:.0%} interval from {RESAMPLES:,} draws of whole groups (places) with replacement: how far the "
        "figure would move with other places, not with another training. With few places it is too narrow, and where "
        "no answer was wrong that of the accuracy has no width.",
    ),
    (
        "Calibration error",
        "How far stated confidence is from the share of right answers, averaged over 15 groups of segments of about "
        "equal size.",
    ),
    ("Fitted on", "The recordings that weights, fusion and post-processing were fitted on. Never the test part."),
)


def tables(reproduction: Reproduction) -> tuple[TextTable, ...]:
    """Every table that has a row, in the order of reading."""
    made = (
        _published_and_measured(reproduction),
        _more_figures(reproduction),
        _unseen(reproduction),
        _by_scene(reproduction, "scene-accuracy", "Accuracy by scene, per cent", "recall", percent),
        _by_scene(reproduction, "scene-log-loss", "Log loss by scene", "log_loss", number),
        _by_city(reproduction, "city-accuracy", "Accuracy by city, per cent", lambda found: percent(found.accuracy)),
        _by_city(reproduction, "city-log-loss", "Log loss by city", lambda found: number(found.log_loss)),
        _training(reproduction),
        _absent(reproduction),
        _versions(reproduction),
    )
    return tuple(table for table in made if table.rows)


def _published_and_measured(reproduction: Reproduction) -> TextTable:
    columns: dict[str, Callable[[ReproductionRow], str]] = {
        "Index": _index,
        "System": lambda row: "\n".join((row.title, *row.remarks)),
        "Input": lambda row: row.needs,
        "Log loss, published": lambda row: number(row.published.log_loss) if row.published else NOTHING,
        "Log loss, measured": lambda row: _found(row, "log_loss", number),
        "Difference, log loss": lambda row: _change(reproduction.difference(row), 0, "+z.3f"),
        "Accuracy, published": lambda row: percent(row.published.accuracy) if row.published else NOTHING,
        "Accuracy, measured": lambda row: _found(row, "accuracy", percent),
        "Difference, accuracy": lambda row: _change(reproduction.difference(row), 1, "+z.1f", scale=100),
        "Fitted on": lambda row: row.fitted_on if row.measured else NOTHING,
        "Measured on": lambda row: row.measured_on if row.measured else NOTHING,
    }
    if not reproduction.comparable:
        columns = {name: shown for name, shown in columns.items() if not name.startswith("Difference")}
    says = "Per segment; accuracy in per cent."
    if reproduction.comparable:
        says += " Differences are measured minus published."
    words = ("System", "Input", "Fitted on", "Measured on")
    return text_table("results", "Published and measured", says, columns, reproduction.rows, words)


def _more_figures(reproduction: Reproduction) -> TextTable:
    columns: dict[str, Callable[[Measured], str]] = {
        "Index": _first_index,
        "Log loss, class mean": lambda item: _found(item[0], "log_loss_class_mean", number),
        "Accuracy, class mean": lambda item: _found(item[0], "accuracy_class_mean", percent),
        "Calibration error": lambda item: number(item[1].segments.expected_calibration_error),
        "Segments": lambda item: f"{item[1].segments.n:,}",
        "Log loss, per recording": lambda item: _part(item[1].recordings, "log_loss", number),
        "Accuracy, per recording": lambda item: _part(item[1].recordings, "accuracy", percent),
        "Log loss, per recording, class mean": lambda item: _part(item[1].recordings, "log_loss_class_mean", number),
        "Accuracy, per recording, class mean": lambda item: _part(item[1].recordings, "accuracy_class_mean", percent),
        "Recordings": lambda item: _part(item[1].recordings, "n", count),
        "Places": lambda item: f"{item[1].groups:,}" if item[1].groups else NOTHING,
    }
    says = f"Accuracy in per cent. {_where(reproduction)}"
    return text_table("more", "Class means, recordings, calibration", says, columns, reproduction.measured)


def _unseen(reproduction: Reproduction) -> TextTable:
    pairs = reproduction.unseen_pairs
    named = [f"{scene} in {city}" for scene, city in pairs[:MOST_PAIRS]]
    if len(pairs) > MOST_PAIRS:
        named.append(f"{len(pairs) - MOST_PAIRS} more")
    items = [(row, found.segments, found.unseen) for row, found in reproduction.measured if found.unseen and pairs]
    return text_table(
        "unseen",
        "Scenes in cities where training had none",
        f"Training had no recording of: {', '.join(named)}. Per segment; accuracy in per cent. {_where(reproduction)}",
        {
            "Index": lambda item: item[0].index,
            "Log loss, all": lambda item: number(item[1].log_loss),
            "Accuracy, all": lambda item: percent(item[1].accuracy),
            "Log loss, without them": lambda item: _part(item[2].without, "log_loss", number),
            "Accuracy, without them": lambda item: _part(item[2].without, "accuracy", percent),
            "Log loss, only them": lambda item: _part(item[2].only, "log_loss", number),
            "Accuracy, only them": lambda item: _part(item[2].only, "accuracy", percent),
            "Segments of them": lambda item: f"{item[2].only.n:,}" if item[2].only else "0",
        },
        items,
    )


def _by_scene(reproduction: Reproduction, anchor: str, heading: str, figure: str, shown: Shown) -> TextTable:
    def column(scene: str) -> Callable[[Measured], str]:
        return lambda item: shown(item[1].segments.per_class.get(scene, {}).get(figure, math.nan))

    columns = {"Index": _first_index} | {scene: column(scene) for scene in reproduction.scenes}
    return text_table(anchor, heading, f"Per segment. {_where(reproduction)}", columns, reproduction.measured)


def _by_city(reproduction: Reproduction, anchor: str, heading: str, shown: Callable[[SubsetMetrics], str]) -> TextTable:
    def column(city: str) -> Callable[[Measured], str]:
        return lambda item: shown(item[1].by_city[city]) if city in item[1].by_city else NOTHING

    columns = {"Index": _first_index} | {city: column(city) for city in reproduction.cities}
    items = reproduction.measured if reproduction.cities else ()
    return text_table(anchor, heading, f"Per segment. {_where(reproduction)}", columns, items)


def _training(reproduction: Reproduction) -> TextTable:
    items = [(row, epoch) for row in reproduction.rows if (epoch := row.best_epoch) is not None]
    return text_table(
        "training",
        "Training",
        "The epoch of least log loss on the validation part, whose weights were kept. The validation part is held out "
        "of training by place; it is not the test part. The training loss is that of varied or mixed inputs.",
        {
            "Index": lambda item: item[0].index,
            "Epochs": lambda item: str(len(item[0].history)),
            "Kept": lambda item: f"{item[1]['epoch']:g}",
            "Log loss, validation": lambda item: number(item[1]["valid_log_loss"]),
            "Loss, training": lambda item: number(_training_loss(item[1])),
        },
        items,
    )


def _training_loss(epoch: Epoch) -> float:
    """What training minimised in `epoch`, whether it calls it `train_loss` or `train_log_loss`."""
    return next((value for name, value in epoch.items() if name in ("train_loss", "train_log_loss")), math.nan)


def _absent(reproduction: Reproduction) -> TextTable:
    items = [(row, row.absent) for row in reproduction.rows if row.absent is not None]
    columns: dict[str, Callable[[tuple[ReproductionRow, Absent]], str]] = {
        "Index": lambda item: item[0].index,
        "Why": lambda item: item[1].reason,
        "What to do": lambda item: item[1].remedy,
    }
    says = "These rows have no figures of ours."
    return text_table("absent", "Not measured", says, columns, items, words=("Why", "What to do"))


def _versions(reproduction: Reproduction) -> TextTable:
    columns: dict[str, Callable[[tuple[str, str]], str]] = {
        "Package": lambda item: item[0],
        "Version": lambda item: item[1],
    }
    says = f"Run on {reproduction.date} with:"
    return text_table("versions", "Versions", says, columns, reproduction.versions.items(), words=("Version",))


def _where(reproduction: Reproduction) -> str:
    """On what the measured rows were measured, in a sentence."""
    places = dict.fromkeys(row.measured_on for row, _ in reproduction.measured)
    return f"Measured on: {'; '.join(places)}."


def _index(row: ReproductionRow) -> str:
    return row.index


def _first_index(item: Measured) -> str:
    return item[0].index


def _found(row: ReproductionRow, figure: str, shown: Shown) -> str:
    """A figure per segment with its interval, or why there is none."""
    if row.measured is None:
        return row.absent.reason if row.absent else NOTHING
    text, interval = shown(getattr(row.measured.segments, figure)), row.measured.intervals.get(figure)
    return text if interval is None else f"{text} ({shown(interval.low)} to {shown(interval.high)})"


def _part(figures: SubsetMetrics | TableMetrics | None, figure: str, shown: Shown) -> str:
    return NOTHING if figures is None else shown(getattr(figures, figure))


def _change(difference: tuple[float, float] | None, place: int, form: str, scale: float = 1) -> str:
    return NOTHING if difference is None else format(difference[place] * scale, form).replace("-", MINUS)
