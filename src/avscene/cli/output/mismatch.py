"""Format the metrics of a mismatch detector as text."""

from collections.abc import Mapping
from typing import Any

from avscene.mismatch.metrics import DIFFER, PRODUCT, SCORE

METHODS = {SCORE: "this detector", DIFFER: 'baseline "top labels differ"', PRODUCT: 'baseline "1 \N{MINUS SIGN} Σ p·q"'}
METRIC_NAMES = {"AUC": "ROC AUC", "F1": "F1"}


def mismatch_text(metrics: Mapping[str, Any]) -> str:
    """Return a line for segments and one for recordings, followed by ROC AUC and F1 where the truth is known."""
    lines = []
    for level, found in metrics.items():
        lines.append(f"{level}: {found['n']}, with a verdict {found['judged']}, mismatched {found['mismatched']}")
        lines.append(f"  {_prior_text(found)}")
        if known := found["known"]:
            counts = f"{known['mismatches']} mismatched, {known['others']} intact"
            lines.append(f"  test with {known['answers']} ({counts}):")
            lines.append(
                f"    for this prior, {known['found']} of {known['mismatches']} mismatched and {known['false']} of "
                f"{known['others']} intact are called a mismatch"
            )
            lines += [f"    {name:30}  {_numbers(known[key])}" for key, name in METHODS.items()]
    return "\n".join(lines)


def _prior_text(found: Mapping[str, Any]) -> str:
    """Return the prior, the threshold and the false alarms to expect."""
    text = f"prior {found['prior']:g}, threshold {found['threshold']:.3f}"
    expected = found["false_alarms"]
    return text if expected is None else f"{text}, false alarms to expect of 100 intact: {expected:.2g}"


def _numbers(metrics: Mapping[str, float | None]) -> str:
    return "  ".join(
        f"{METRIC_NAMES[name]} {'-' if value is None else f'{value:.4f}'}" for name, value in metrics.items()
    )
