"""Test the figures of the confusion matrix, the reliability diagram and the risk-coverage curve."""

import numpy as np
import pytest

from avscene.evaluation.measurement import measure
from avscene.labels import LabelSet
from avscene.reports.plots import confusion_figure, reliability_figure, risk_figure
from avscene.tables.score_table import ScoreTable
from tests.support.report_data import random_table


def test_confusion_figure_has_counts_and_shares():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    table = ScoreTable(LabelSet(("a", "b")), ("1", "2", "3"), probabilities, truth=("a", "a", "b"))
    heat_map, numbers = confusion_figure(table)["data"]
    assert heat_map["z"] == [[0.5, 0.5], [1, 0]]
    cells = dict(zip(zip(numbers["y"], numbers["x"], strict=True), numbers["text"], strict=True))
    assert cells == {(0, 0): "1", (0, 1): "1", (1, 0): "1"}
    assert heat_map["hovertext"][0][1] == "true: a<br>predicted: b<br>1 of 2 (50.0%)"


def test_scene_named_like_a_date_does_not_make_an_axis_of_dates():
    layout = confusion_figure(random_table())["layout"]
    assert layout["xaxis"]["type"] == layout["yaxis"]["type"] == "linear"
    assert layout["xaxis"]["ticktext"][2] == "2024-01-01"


def test_reliability_figure_counts_every_row():
    _, curve, histogram = reliability_figure(random_table())["data"]
    assert sum(curve["customdata"]) == sum(histogram["y"]) == 40


def test_risk_curve_ends_with_all_rows_accepted():
    level, curve = risk_figure(random_table())["data"]
    error_rate = 1 - measure(random_table()).segments.accuracy
    assert (curve["x"][-1], curve["y"][-1]) == (1, pytest.approx(error_rate, abs=1e-4))
    assert level["y"] == [pytest.approx(error_rate)] * 2
