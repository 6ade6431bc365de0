"""Describe the summary of a prediction table in lines of text."""

from avscene.evaluation.bootstrap import LEVEL
from avscene.evaluation.summary import Summary


def figures_text(summary: Summary) -> str:
    """Return log loss and accuracy, with their intervals, such as `log loss 0.4210 (0.3 to 0.6), accuracy 0.9000`."""
    parts = []
    for metric, value in (("log_loss", summary.log_loss), ("accuracy", summary.accuracy)):
        interval = summary.intervals.get(metric)
        limits = "" if interval is None else f" ({interval.low:.4f} to {interval.high:.4f})"
        parts.append(f"{metric.replace('_', ' ')} {value:.4f}{limits}")
    return ", ".join(parts)


def context_lines(summary: Summary) -> list[str]:
    """Return the chance level, the most frequent errors, and what the intervals are."""
    errors = [f"{error.true} as {error.predicted} {error.rows} of {error.n}" for error in summary.errors]
    lines = [
        f"chance: log loss {summary.chance_log_loss:.4f} (equal probabilities), "
        f"accuracy {summary.chance_accuracy:.4f} (always the most frequent scene)",
        f"most frequent errors: {', '.join(errors) or 'none'}",
    ]
    if summary.intervals:
        lines.append(f"in brackets: {LEVEL:.0%} intervals over groups")
    return lines
