"""Define the terms of the reports, and render definitions as a section of an HTML page."""

import html
from collections.abc import Mapping

from avscene.evaluation.bootstrap import LEVEL, RESAMPLES
from avscene.evaluation.calibration import BINS

GLOSSARY_HEADING = "Glossary"

DEFINITIONS: Mapping[str, str] = {
    "Log loss": (
        "Minus the natural logarithm of the probability of the true scene, averaged over rows. 0 is perfect; confident "
        "errors cost most."
    ),
    "Accuracy": "Share of the rows whose most probable scene is the true scene. 1 is perfect.",
    "Macro average": "The metric of each true scene, averaged over scenes, so that every scene has the same weight.",
    "Expected calibration error (ECE)": (
        "Distance between confidence (the probability of the predicted scene) and accuracy, averaged over "
        f"{BINS} bins of about equally many rows, without the error that chance adds if groups are few. At 0, "
        "predictions with 80 % confidence are correct in 80 % of cases."
    ),
    "Brier score": (
        "Squared distance between the probabilities and the truth (1 for the true scene, 0 for the others), summed "
        "over scenes, averaged over rows. 0 is perfect, 2 the worst; confident errors cost less than in log loss."
    ),
    "Coverage, risk": (
        "If only predictions above a confidence threshold are accepted, coverage is the share of accepted rows and "
        "risk the share of errors among them."
    ),
    "AURC": (
        "Area under the risk-coverage curve: the mean risk over all coverages. 0 is perfect. It is low if errors are "
        "rare and have low confidence."
    ),
    "Interval": (
        f"The {LEVEL * 100:.0f} % bootstrap interval from {RESAMPLES:,} draws of whole groups (places, sessions) with "
        "replacement: the variation of the metric between sets of groups, not between trainings. With few groups it is "
        "too narrow; where every prediction is correct, that of the accuracy has no width. Without known groups there "
        "are no intervals."
    ),
    "p": (
        "Two-sided p-value of a randomisation test: how often a difference at least as large arises if the two systems "
        "are exchanged in random groups. Not corrected for the number of systems compared."
    ),
    "Oracle": (
        "Share of the rows on which at least one of the systems is correct: the accuracy if the correct prediction "
        "were always chosen."
    ),
    "Precision": "Of the rows predicted as a scene, the share that truly are that scene.",
    "Recall": "Of the rows that truly are a scene, the share predicted as it.",
    "F1": "Harmonic mean of precision and recall.",
    "n": "Number of rows: segments, or recordings if a table has one row per recording.",
}


def glossary_html(definitions: Mapping[str, str]) -> str:
    """Return a section with a definition list."""
    items = "".join(
        f"<dt>{html.escape(term)}</dt><dd>{html.escape(definition)}</dd>" for term, definition in definitions.items()
    )
    return f'<section><h2>{GLOSSARY_HEADING}</h2><dl class="card">{items}</dl></section>'
