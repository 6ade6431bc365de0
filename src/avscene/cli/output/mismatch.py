"""Format the metrics of a mismatch detector as text."""

from collections.abc import Mapping
from typing import Any

from avscene.mismatch.metrics import DIFFER, PRODUCT, SCORE


def mismatch_text(metrics: Mapping[str, Any]) -> str:
    """Return a line for segments and one for recordings, followed by ROC AUC and F1 where the truth is known."""
    lines = []
    for level, found in metrics.items():
        lines.append(f"{level}: {found['n']}, with a verdict {found['judged']}, mismatched {found['mismatched']}")
        if known := found["known"]:
            lines.append(f"  against {known['answers']}: {known['mismatches']} mismatches, {known['others']} others")
            lines += [f"    {name:18}  {_numbers(known[name])}" for name in (SCORE, DIFFER, PRODUCT)]
    return "\n".join(lines)


def _numbers(metrics: Mapping[str, float | None]) -> str:
    return "  ".join(f"{name} {'-' if value is None else f'{value:.4f}'}" for name, value in metrics.items())
