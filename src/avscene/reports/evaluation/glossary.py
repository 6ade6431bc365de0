"""Scenes of a report in, what its figures mean in words, as HTML, out."""

import math
from collections.abc import Set as AbstractSet

from avscene.evaluation.bootstrap import LEVEL, RESAMPLES

MEANINGS = (
    (
        "Log loss",
        "How surprised one is by the truth, given the stated probabilities: minus the natural logarithm of "
        "the probability of the true scene, on average. 0 is perfect; confident mistakes cost most. {blind}",
    ),
    ("Accuracy", "Share of the rows whose most probable scene is the true one. 1 is perfect."),
    ("Class mean", "The same figure for each true scene, then averaged: every scene counts alike."),
    (
        "Calibration error",
        "How far stated confidence is from the share of right answers, averaged over 15 groups of about "
        "equal size (expected calibration error). At 0, what is said with 80 % confidence is right in 80 %.",
    ),
    (
        "Brier score",
        "Squared distance between the probabilities and the truth (1 for the true scene, 0 for the others), summed "
        "over scenes, averaged over rows. 0 is perfect, 2 the worst; unlike log loss it forgives confident mistakes.",
    ),
    (
        "Risk, coverage",
        "If only rows above some confidence are answered, coverage is the share of rows answered and risk the share of "
        "those answers that are wrong.",
    ),
    (
        "Risk-coverage area",
        "Mean risk over all coverages: 0 is perfect. It is small if a system errs seldom and is unsure where it errs.",
    ),
    (
        "Interval",
        f"The {LEVEL:.0%} interval from {RESAMPLES:,} draws of whole groups (places, sessions) with replacement: how "
        "far the figure would move with other places, not with another training. With few groups it is too narrow. "
        "Where the groups are not known there is none.",
    ),
    (
        "p",
        "How often a difference at least so large would come about if the two systems were alike and only exchanged at "
        "random in whole groups; not corrected for the number of systems compared.",
    ),
    (
        "Oracle",
        "Share of the rows on which at least one of the systems is right: the accuracy of one who always knew whom to "
        "believe.",
    ),
    ("Precision", "Of the rows answered with a scene, the share that truly are that scene."),
    ("Recall", "Of the rows that truly are a scene, the share answered with it."),
    ("F1", "Harmonic mean of precision and recall."),
    ("n", "Number of rows measured: segments, or whole recordings where a table has one row for each."),
)


def meanings_html(scenes: AbstractSet[int]) -> str:
    """A section with every figure and its meaning; `scenes` are how many scenes the tables have."""
    blind = ", ".join(f"{math.log(count):.2f} for {count} scenes" for count in sorted(scenes))
    blind = f"Spreading the probability evenly costs {blind}." if blind else ""
    items = "".join(f"<dt>{term}</dt><dd>{meaning.format(blind=blind)}</dd>" for term, meaning in MEANINGS)
    return f'<section><h2>What the figures mean</h2><dl class="card">{items}</dl></section>'
