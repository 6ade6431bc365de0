"""Properties of the fusion rules, and of the fitting of their weights on synthetic data with known weights."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from avscene.evaluation.metrics import log_loss
from avscene.fusion import pooling
from avscene.fusion.pooling import (
    FLOOR,
    classwise,
    fit_classwise,
    fit_log_pool,
    group_weights,
    log_pool,
    mean,
    product,
    samplewise,
    softmax,
)
from avscene.fusion.prior import DEVIATION
from avscene.fusion.tree import Layout, fit_fusion
from avscene.labels import LabelSet

RULES = {"mean": mean, "product": product, "samplewise": samplewise, "classwise": classwise, "log-pool": log_pool}


def fuse(rule, scores, weights=None):
    """Apply a rule by name to the (n, n_scenes) scores of each model."""
    stacked = np.stack(scores)
    return RULES[rule](stacked) if weights is None else RULES[rule](stacked, weights)


@st.composite
def scores_and_weights(draw, least=1, most=4, missing=True):
    """Scores (n_models, n, n_scenes), some rows of some models NaN; and weights for each rule."""
    shape = (draw(st.integers(least, most)), draw(st.integers(1, 6)), draw(st.integers(2, 5)))
    values = draw(arrays(float, shape, elements=st.floats(0.001, 1)))
    scores = values / values.sum(axis=2, keepdims=True)
    if missing:
        scores[draw(arrays(bool, shape[:2]))] = np.nan
    weights = {
        "mean": None,
        "product": None,
        "samplewise": None,
        "classwise": draw(arrays(float, (shape[0], shape[2]), elements=st.floats(0.05, 1))),
        "log-pool": draw(arrays(float, shape[0], elements=st.floats(0.1, 2))),
    }
    return scores, weights


def same(found, expected, tolerance=1e-9):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("rule", RULES)
@given(scores_and_weights())
def test_rows_sum_to_one_and_rows_that_no_model_scored_stay_missing(rule, drawn) -> None:
    scores, weights = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fused = fuse(rule, list(scores), weights[rule])
    missing = np.isnan(scores).all(axis=(0, 2))
    assert np.isnan(fused[missing]).all()
    same(fused[~missing].sum(axis=1), 1)
    assert (fused[~missing] >= 0).all()


@pytest.mark.parametrize("rule", RULES)
@given(scores_and_weights(), st.randoms())
def test_the_order_of_rows_scenes_and_models_does_not_matter(rule, drawn, random) -> None:
    scores, weights = drawn
    orders = [random.sample(range(size), size) for size in scores.shape]
    models, rows, scenes = orders
    moved = {
        "classwise": weights["classwise"][np.ix_(models, scenes)],
        "log-pool": weights["log-pool"][models],
    }
    expected = fuse(rule, list(scores), weights[rule])[np.ix_(rows, scenes)]
    same(fuse(rule, list(scores[np.ix_(*orders)]), moved.get(rule)), expected)


@pytest.mark.parametrize("rule", RULES)
@given(scores_and_weights(most=1))
def test_a_single_model_is_returned_unchanged(rule, drawn) -> None:
    scores, weights = drawn
    same(fuse(rule, list(scores), weights[rule]), scores[0])


@pytest.mark.parametrize("rule", RULES)
@given(scores_and_weights(least=2))
def test_a_model_that_scored_nothing_has_no_effect(rule, drawn) -> None:
    scores, weights = drawn
    scores[0] = np.nan
    rest = None if weights[rule] is None else weights[rule][1:]
    same(fuse(rule, list(scores), weights[rule]), fuse(rule, list(scores[1:]), rest))


@given(scores_and_weights(most=1, missing=False), st.floats(0.05, 1))
def test_a_model_and_its_copy_that_share_an_exponent_are_the_model(drawn, share) -> None:
    scores = drawn[0]
    same(log_pool(np.concatenate([scores, scores]), np.array([share, 1 - share])), scores[0])


@given(scores_and_weights(missing=False))
def test_a_model_of_exponent_zero_has_no_effect(drawn) -> None:
    scores, weights = drawn
    extended = np.concatenate([scores, scores[:1]])
    exponents = np.append(weights["log-pool"], 0)
    if len(scores) > 1:  # a model that is alone has exponent 1
        same(log_pool(extended, exponents), log_pool(scores, weights["log-pool"]))


@given(scores_and_weights())
def test_the_callers_scores_are_not_changed(drawn) -> None:
    scores, weights = drawn
    before = scores.copy()
    for rule in RULES:
        fuse(rule, list(scores), weights[rule])
    np.testing.assert_array_equal(scores, before)


def test_rules_by_hand() -> None:
    scores = [np.array([[0.6, 0.3, 0.1]]), np.array([[0.2, 0.5, 0.3]])]
    same(fuse("mean", scores), [[0.4, 0.4, 0.2]])
    same(fuse("product", scores), np.array([[12, 15, 3]]) / 30)
    weighted = 0.6 * scores[0] + 0.5 * scores[1]
    same(fuse("samplewise", scores), weighted / weighted.sum())
    weights = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
    same(fuse("classwise", scores, weights), np.array([[0.6, 0.4, 0.3]]) / 1.3)
    pooled = np.array([[0.6**2 * 0.2**0.5, 0.3**2 * 0.5**0.5, 0.1**2 * 0.3**0.5]])
    same(fuse("log-pool", scores, np.array([2.0, 0.5])), pooled / pooled.sum())


def test_a_zero_does_not_veto_a_scene() -> None:
    fused = fuse("product", [np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])])
    same(fused, [[0.5, 0.5]])


def synthetic(exponents, rows=4000, scenes=4, seed=0):
    """Models' scores (n_models, rows, scenes) and a truth drawn from their log-linear pool under `exponents`."""
    random = np.random.default_rng(seed)
    scores = softmax_each(random.normal(0, 1.5, (len(exponents), rows, scenes)))
    pooled = log_pool(scores, np.asarray(exponents))
    return scores, (pooled.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1)


def softmax_each(logits):
    return np.stack([softmax(model) for model in logits])


@pytest.mark.parametrize("known", [(1.0, 1.0), (0.5, 1.5), (0.3, 0.6, 1.2)])
def test_known_exponents_are_recovered(known) -> None:
    scores, truth = synthetic(known, rows=20_000)
    same(fit_log_pool(scores, truth), known, tolerance=0.06)


def test_a_misleading_model_gets_exponent_zero() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 4, 2000)
    skills = np.array([1.5, -1.0, 0.0])[:, None, None] * np.eye(4)[truth]  # informative, misleading, random
    exponents = fit_log_pool(softmax_each(random.normal(0, 1, (3, 2000, 4)) + skills), truth)
    assert exponents[0] > 1
    assert exponents[1] == 0
    assert 0 <= exponents[2] < 0.1


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 5))
def test_fitted_exponents_are_no_worse_than_equal_ones_on_the_fitting_rows(seed, models, scenes) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, scenes, 40)
    skill = random.uniform(0, 2, (models, 1, 1)) * np.eye(scenes)[truth]
    scores = softmax_each(random.normal(0, 1, (models, 40, scenes)) + skill)
    logs = np.log(scores)
    spreads = np.sqrt(logs.var(axis=2).mean(axis=1))

    def loss(exponents) -> float:  # with the prior
        factor = spreads @ exponents / spreads.max()
        prior = (factor - 1) ** 2 / (2 * DEVIATION**2)
        return log_loss(truth, softmax(np.tensordot(exponents, logs, axes=1))) + prior / len(truth)

    fitted = fit_log_pool(scores, truth)
    for equal in (0.0, 1 / models, 1.0):
        assert loss(fitted) <= loss(np.full(models, equal)) + 1e-6


def test_the_gradient_of_the_fit_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, truth = synthetic((0.7, 1.1), rows=50)
    losses = []

    def record(loss, start, **options):
        losses.append(loss)
        return optimize.OptimizeResult(x=start)

    monkeypatch.setattr(pooling.scipy.optimize, "minimize", record)
    fit_log_pool(scores, truth)
    for point in (np.array([0.5, 0.5]), np.array([0.0, 1.3]), np.array([2.0, 0.1])):
        numeric = optimize.approx_fprime(point, lambda x: losses[0](x)[0], 1e-6)
        same(losses[0](point)[1], numeric, tolerance=1e-5)


def test_exponents_are_fitted_on_rows_that_every_model_scored() -> None:
    scores, truth = synthetic((0.5, 1.5))
    holes = scores.copy()
    holes[0, ::3] = np.nan
    complete = np.arange(len(truth)) % 3 != 0
    same(fit_log_pool(holes, truth), fit_log_pool(scores[:, complete], truth[complete]), tolerance=1e-6)


def test_exponents_are_equal_if_no_row_was_scored_by_every_model() -> None:
    scores = np.full((2, 4, 2), np.nan)
    scores[0, :2], scores[1, 2:] = 0.5, 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(fit_log_pool(scores, np.array([0, 1, 0, 1])), [0.5, 0.5])


@pytest.mark.parametrize(
    ("needs", "totals"),
    [
        (("audio", "video", "video"), (1, 1)),
        (("video", "video", "audio"), (1, 1)),
        (("both", "both", "both"), (1, 1)),
        (("audio", "audio", "audio"), (1, 0)),
        (("audio", "video", "both"), (1, 1)),
        (None, (1, 1)),
    ],
)
def test_the_prior_gives_each_modality_a_total_weight_of_one(needs, totals) -> None:
    confident = softmax(np.random.default_rng(0).normal(0, 1, (1, 4)))
    exponents = fit_log_pool(np.stack([confident] * 3), confident.argmax(axis=1), np.array([1e-3]), needs)
    for modality, total in zip(("audio", "video"), totals, strict=True):
        uses = [need in (modality, "both") for need in needs or ["both"] * 3]
        same(exponents @ uses, total, tolerance=1e-2)


def test_the_weight_of_a_modality_moves_further_from_the_prior_with_more_rows() -> None:
    distance = {}
    for rows in (10, 20_000):
        scores, truth = synthetic((0.2, 1.6), rows=rows)
        distance[rows] = np.abs(fit_log_pool(scores, truth, needs=("audio", "video")) - 1)
    assert (distance[10] < 0.75 * distance[20_000]).all()
    same(distance[20_000], [0.8, 0.6], tolerance=0.06)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([("audio", "video"), ("video", "video"), ("both", "audio")]))
def test_a_copy_of_a_model_or_a_uniform_one_changes_nothing_with_few_rows(seed, needs) -> None:
    scores, truth = synthetic((0.8, 1.2), rows=15, seed=seed)
    expected = log_pool(scores, fit_log_pool(scores, truth, needs=needs))
    for more in (scores[0], np.full_like(scores[0], 1 / scores.shape[2])):
        extended = np.stack([*scores, more])
        fitted = fit_log_pool(extended, truth, needs=(*needs, needs[0]))
        same(log_pool(extended, fitted), expected, tolerance=5e-3)


def test_classwise_weights_are_precision_recall_or_f1() -> None:
    predicted = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    truth = np.array([0, 0, 1, 1, 1, 0, 2, 0])
    scores = np.where(np.eye(3)[predicted] == 1, 0.8, 0.1)[None].repeat(2, axis=0)
    scores[1, :4] = np.nan  # the second model did not score the first half
    share = 1 / 3  # of the pseudo-row at chance
    hits = np.array([[3, 2, 0], [1, 1, 0]])  # [model, scene]
    predictions, true = np.array([[4, 4, 0], [1, 3, 0]]), np.array([[4, 3, 1], [2, 1, 1]])
    same(fit_classwise(scores, truth), (hits + share) / (predictions + 1))
    same(fit_classwise(scores, truth, "precision"), (hits + share) / (predictions + 1))
    same(fit_classwise(scores, truth, "recall"), (hits + share) / (true + 1))
    same(fit_classwise(scores, truth, "f1"), 2 * (hits + share) / (predictions + true + 2))


def test_classwise_weights_count_groups_and_not_rows() -> None:
    """Rows of one group repeated a hundred times are one group's evidence, by the documented rule."""
    predicted, truth = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    scores = np.where(np.eye(2)[predicted] == 1, 0.9, 0.1)
    times = np.array([100, 1, 1, 1])
    repeated, groups = scores.repeat(times, axis=0), np.arange(4).repeat(times)
    once = fit_classwise(scores[None], truth)
    same(once, [[(2 + 0.5) / (3 + 1), (1 + 0.5) / (1 + 1)]])
    same(fit_classwise(repeated[None], truth.repeat(times), "precision", group_weights(list(groups))), once)
    labels = LabelSet(("bus", "park"))
    layout = Layout(name="x", members=("a", "b"), rule="classwise")
    twice = {"a": repeated, "b": repeated}
    fusion = fit_fusion(layout, twice, truth.repeat(times), labels, groups=[str(group) for group in groups])
    assert fusion.rule is not None
    same([list(table.values()) for table in fusion.rule.scene_weights()], np.repeat(once, 2, axis=0))


def test_classwise_weights_models_by_scene() -> None:
    mostly_0 = np.array([[0.6, 0.4]])
    mostly_1 = np.array([[0.4, 0.6]])
    weights = np.array([[0.9, 0.2], [0.1, 0.3]])
    same(classwise(np.stack([mostly_0, mostly_1]), weights), np.array([[0.58, 0.26]]) / 0.84)


def test_a_zero_counts_as_the_floor() -> None:
    fused = fuse("product", [np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])])
    same(fused[0, 0] / fused[0, 1], FLOOR, tolerance=1e-12)


def test_few_rows_without_errors_do_not_make_the_pool_certain() -> None:
    truth = np.arange(12) % 3
    confident = np.where(np.eye(3)[truth] > 0, 0.6, 0.2)
    few, many = (
        fit_log_pool(np.stack([np.tile(confident, (times, 1))] * 2), np.tile(truth, times)) for times in (1, 100)
    )
    assert few.sum() < 5  # 0.6 becomes less than 0.99
    assert many.sum() > 1.5 * few.sum()
    assert fit_log_pool(confident[None], truth, np.full(12, 1 / 12)) < few.sum()  # rows of one group weigh as one row
