"""The risk-coverage curve: by hand, its properties, and ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.evaluation.metrics import accuracy
from avscene.evaluation.risk import risk_coverage


def two_scenes(confidence, right):
    """Truth and probabilities of rows for which scene 0 is predicted with `confidence`, `right` or not."""
    top = np.asarray(confidence, float)
    return np.where(right, 0, 1), np.stack([top, 1 - top], axis=1)


ROWS = st.lists(st.tuples(st.sampled_from([0.55, 0.6, 0.7, 0.7 + 1e-14, 0.9, 1.0]), st.booleans()), min_size=1)


def test_a_curve_by_hand():
    found = risk_coverage(*two_scenes([0.9, 0.6, 0.8, 0.7], [True, False, False, True]))
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.risk, [0, 1 / 2, 1 / 3, 1 / 2])
    np.testing.assert_allclose(found.threshold, [0.9, 0.8, 0.7, 0.6])
    assert found.area == pytest.approx(np.mean([0, 1 / 2, 1 / 3, 1 / 2]))


def test_equal_confidences_are_one_point():
    found = risk_coverage(*two_scenes([0.9, 0.6, 0.6, 0.6], [True, False, True, True]))
    np.testing.assert_allclose(found.coverage, [0.25, 1])
    np.testing.assert_allclose(found.risk, [0, 0.25])
    assert found.area == pytest.approx(0.75 * 0.25)


def test_equal_confidences_throughout_give_the_error_rate():
    found = risk_coverage(*two_scenes([1.0] * 4, [True, False, True, True]))
    assert (found.coverage.tolist(), found.risk.tolist(), found.area) == ([1], [0.25], 0.25)


@given(ROWS)
@settings(max_examples=50)
def test_full_coverage_has_the_risk_one_minus_accuracy(rows):
    truth, p = two_scenes(*zip(*rows, strict=True))
    found = risk_coverage(truth, p)
    assert found.coverage[-1] == 1
    assert found.risk[-1] == pytest.approx(1 - accuracy(truth, p))
    assert (np.diff(found.coverage) > 0).all()
    assert (np.diff(found.threshold) < 0).all()
    assert 0 <= found.area <= 1


@given(ROWS)
@settings(max_examples=50)
def test_thresholds_reach_their_coverage_and_risk(rows):
    truth, p = two_scenes(*zip(*rows, strict=True))
    found = risk_coverage(truth, p)
    for coverage, risk, threshold in zip(found.coverage, found.risk, found.threshold, strict=True):
        kept = p.max(axis=1) >= threshold
        assert kept.mean() == pytest.approx(coverage)
        assert (p[kept].argmax(axis=1) != truth[kept]).mean() == pytest.approx(risk)


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_rows_does_not_matter(rows, random):
    first = risk_coverage(*two_scenes(*zip(*rows, strict=True)))
    shuffled = risk_coverage(*two_scenes(*zip(*random.sample(rows, len(rows)), strict=True)))
    np.testing.assert_array_equal(first.coverage, shuffled.coverage)
    np.testing.assert_array_equal(first.risk, shuffled.risk)
    np.testing.assert_array_equal(first.threshold, shuffled.threshold)


def test_thinned_to_even_coverages():
    top = 1 - np.arange(1000) / 2500
    whole = risk_coverage(*two_scenes(top, np.arange(1000) % 3 > 0))
    thin = whole.thinned(10)
    np.testing.assert_allclose(thin.coverage, np.arange(1, 11) / 10)
    np.testing.assert_array_equal(thin.risk, whole.risk[99::100])
    few = risk_coverage(*two_scenes([0.9, 0.6, 0.6], [True, False, True]))
    np.testing.assert_array_equal(few.thinned(10).threshold, few.threshold)


def test_empty_arrays_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        risk_coverage(np.zeros(0, int), np.zeros((0, 3)))
