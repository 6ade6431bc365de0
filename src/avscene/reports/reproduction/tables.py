"""Build the text tables of a reproduction, the same for Markdown and HTML."""

import math
from collections.abc import Callable

from avscene.evaluation.measurement import Measurement, SubsetMetrics
from avscene.evaluation.metrics import TableMetrics
from avscene.reports.glossary import DEFINITIONS
from avscene.reports.reproduction.rows import Absent, Epoch, Reproduction, ReproductionRow, best_epoch
from avscene.reports.result_tables import list_pairs
from avscene.reports.text_table import (
    MINUS,
    UNDEFINED,
    TextTable,
    build_table,
    format_count,
    format_metric,
    format_percent,
)

MeasuredRow = tuple[ReproductionRow, Measurement]
Format = Callable[[float], str]

GLOSSARY = {
    "Log loss": DEFINITIONS["Log loss"],
    "Accuracy": DEFINITIONS["Accuracy"],
    "Per segment": "Each second of a recording is one row.",
    "Per recording": "Each recording is one row, with the mean of the probabilities of its seconds.",
    "Macro average": DEFINITIONS["Macro average"],
    "Interval": DEFINITIONS["Interval"],
    "Expected calibration error (ECE)": DEFINITIONS["Expected calibration error (ECE)"],
    "Fitted on": "The recordings that weights, fusion and post-processing were fitted on; never the test part.",
}


def reproduction_tables(reproduction: Reproduction) -> tuple[TextTable, ...]:
    """Return every table that has a row, in the order of the report."""
    tables = (
        _results(reproduction),
        _further_metrics(reproduction),
        _unseen_pairs(reproduction),
        _by_scene(reproduction, "scene-accuracy", "Accuracy by scene, per cent", "recall", format_percent),
        _by_scene(reproduction, "scene-log-loss", "Log loss by scene", "log_loss", format_metric),
        _by_city(reproduction, "city-accuracy", "Accuracy by city, per cent", "accuracy", format_percent),
        _by_city(reproduction, "city-log-loss", "Log loss by city", "log_loss", format_metric),
        _training(reproduction),
        _absent(reproduction),
        _versions(reproduction),
    )
    return tuple(table for table in tables if table.rows)


def _results(reproduction: Reproduction) -> TextTable:
    columns: dict[str, Callable[[ReproductionRow], str]] = {
        "Index": lambda row: row.index,
        "System": lambda row: "\n".join((row.title, *row.remarks)),
        "Input": lambda row: row.needs,
        "Log loss, published": lambda row: format_metric(row.published.log_loss) if row.published else UNDEFINED,
        "Log loss, measured": lambda row: _measured_cell(row, "log_loss", format_metric),
        "Difference, log loss": lambda row: _difference_cell(reproduction.difference(row), 0, "+z.3f"),
        "Accuracy, published": lambda row: format_percent(row.published.accuracy) if row.published else UNDEFINED,
        "Accuracy, measured": lambda row: _measured_cell(row, "accuracy", format_percent),
        "Difference, accuracy": lambda row: _difference_cell(reproduction.difference(row), 1, "+z.1f", factor=100),
        "Fitted on": lambda row: row.fitted_on if row.measured else UNDEFINED,
        "Measured on": lambda row: row.measured_on if row.measured else UNDEFINED,
    }
    if not reproduction.comparable:
        columns = {name: cell_text for name, cell_text in columns.items() if not name.startswith("Difference")}
    caption = "Per segment; accuracy in per cent; in brackets the 95 % bootstrap interval over groups."
    if reproduction.comparable:
        caption += " Differences are measured minus published."
    text_columns = ("System", "Input", "Fitted on", "Measured on")
    return build_table("results", "Published and measured", caption, columns, reproduction.rows, text_columns)


def _further_metrics(reproduction: Reproduction) -> TextTable:
    def recordings(metric: str, format_value: Format) -> Callable[[MeasuredRow], str]:
        return lambda item: _optional_cell(item[1].recordings, metric, format_value)

    columns: dict[str, Callable[[MeasuredRow], str]] = {
        "Index": _index,
        "Log loss, macro average": lambda item: _measured_cell(item[0], "log_loss_macro", format_metric),
        "Accuracy, macro average": lambda item: _measured_cell(item[0], "accuracy_macro", format_percent),
        "Expected calibration error (ECE)": lambda item: format_metric(item[1].segments.ece),
        "Segments": lambda item: format_count(item[1].segments.n),
        "Log loss, per recording": recordings("log_loss", format_metric),
        "Accuracy, per recording": recordings("accuracy", format_percent),
        "Log loss, per recording, macro average": recordings("log_loss_macro", format_metric),
        "Accuracy, per recording, macro average": recordings("accuracy_macro", format_percent),
        "Recordings": recordings("n", format_count),
        "Groups": lambda item: format_count(item[1].groups) if item[1].groups else UNDEFINED,
    }
    caption = f"Accuracy in per cent. {_measured_on(reproduction)}"
    return build_table("more", "Macro averages, calibration, recordings", caption, columns, reproduction.measured)


def _unseen_pairs(reproduction: Reproduction) -> TextTable:
    pairs = reproduction.unseen_pairs
    items = [(row, found.segments, found.unseen) for row, found in reproduction.measured if found.unseen and pairs]
    return build_table(
        "unseen",
        "Seen and unseen pairs of scene and city",
        f"Training had no recording of: {list_pairs(pairs)}. "
        f"Per segment; accuracy in per cent. {_measured_on(reproduction)}",
        {
            "Index": lambda item: item[0].index,
            "Log loss, all pairs": lambda item: format_metric(item[1].log_loss),
            "Accuracy, all pairs": lambda item: format_percent(item[1].accuracy),
            "Log loss, seen pairs": lambda item: _optional_cell(item[2].without, "log_loss", format_metric),
            "Accuracy, seen pairs": lambda item: _optional_cell(item[2].without, "accuracy", format_percent),
            "Log loss, unseen pairs": lambda item: _optional_cell(item[2].only, "log_loss", format_metric),
            "Accuracy, unseen pairs": lambda item: _optional_cell(item[2].only, "accuracy", format_percent),
            "Segments, unseen pairs": lambda item: format_count(item[2].only.n) if item[2].only else "0",
        },
        items,
    )


def _by_scene(reproduction: Reproduction, anchor: str, heading: str, metric: str, format_value: Format) -> TextTable:
    def column(scene: str) -> Callable[[MeasuredRow], str]:
        return lambda item: format_value(item[1].segments.per_class.get(scene, {}).get(metric, math.nan))

    columns = {"Index": _index} | {scene: column(scene) for scene in reproduction.scenes}
    caption = f"Per segment. {_measured_on(reproduction)}"
    return build_table(anchor, heading, caption, columns, reproduction.measured)


def _by_city(reproduction: Reproduction, anchor: str, heading: str, metric: str, format_value: Format) -> TextTable:
    def column(city: str) -> Callable[[MeasuredRow], str]:
        return lambda item: _optional_cell(item[1].by_city.get(city), metric, format_value)

    columns = {"Index": _index} | {city: column(city) for city in reproduction.cities}
    items = reproduction.measured if reproduction.cities else ()
    return build_table(anchor, heading, f"Per segment. {_measured_on(reproduction)}", columns, items)


def _training(reproduction: Reproduction) -> TextTable:
    items = [(row, epoch) for row in reproduction.rows if (epoch := best_epoch(row.history)) is not None]
    return build_table(
        "training",
        "Training",
        "The best epoch is that of lowest log loss on the validation part; its weights are used. The validation part "
        "consists of groups held out of training; it is not the test part. The training loss is that of augmented or "
        "mixed inputs.",
        {
            "Index": lambda item: item[0].index,
            "Epochs": lambda item: str(len(item[0].history)),
            "Best epoch": lambda item: f"{item[1]['epoch']:g}",
            "Log loss, validation": lambda item: format_metric(item[1]["valid_log_loss"]),
            "Loss, training": lambda item: format_metric(_training_loss(item[1])),
        },
        items,
    )


def _training_loss(epoch: Epoch) -> float:
    """Return the loss that training minimised, named `train_loss` or `train_log_loss`; NaN if it was not recorded."""
    return next((value for name, value in epoch.items() if name in ("train_loss", "train_log_loss")), math.nan)


def _absent(reproduction: Reproduction) -> TextTable:
    items = [(row, row.absent) for row in reproduction.rows if row.absent is not None]
    columns: dict[str, Callable[[tuple[ReproductionRow, Absent]], str]] = {
        "Index": lambda item: item[0].index,
        "Reason": lambda item: item[1].reason,
        "What to do": lambda item: item[1].remedy,
    }
    caption = "These systems were not measured."
    return build_table("absent", "Not measured", caption, columns, items, text_columns=("Reason", "What to do"))


def _versions(reproduction: Reproduction) -> TextTable:
    columns: dict[str, Callable[[tuple[str, str]], str]] = {
        "Package": lambda item: item[0],
        "Version": lambda item: item[1],
    }
    caption = f"Run on {reproduction.date} with:"
    return build_table(
        "versions", "Versions", caption, columns, reproduction.versions.items(), text_columns=("Version",)
    )


def _measured_on(reproduction: Reproduction) -> str:
    data = dict.fromkeys(row.measured_on for row, _ in reproduction.measured)
    return f"Measured on: {'; '.join(data)}."


def _index(item: MeasuredRow) -> str:
    return item[0].index


def _measured_cell(row: ReproductionRow, metric: str, format_value: Format) -> str:
    """Format a metric per segment with its interval, or the reason why it was not measured."""
    if row.measured is None:
        return row.absent.reason if row.absent else UNDEFINED
    text, interval = format_value(getattr(row.measured.segments, metric)), row.measured.intervals.get(metric)
    return text if interval is None else f"{text} ({format_value(interval.low)} to {format_value(interval.high)})"


def _optional_cell(metrics: SubsetMetrics | TableMetrics | None, metric: str, format_value: Format) -> str:
    return UNDEFINED if metrics is None else format_value(getattr(metrics, metric))


def _difference_cell(difference: tuple[float, float] | None, position: int, spec: str, factor: float = 1) -> str:
    return UNDEFINED if difference is None else format(difference[position] * factor, spec).replace("-", MINUS)
