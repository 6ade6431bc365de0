"""Nested fusions: how they are applied, fitted, stored as JSON and checked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from avscene.errors import DataError, UsageError
from avscene.evaluation.metrics import log_loss
from avscene.fusion import pooling, postprocess
from avscene.fusion.pooling import softmax
from avscene.fusion.rules import Classwise, LogPool, Mean, Product, Samplewise
from avscene.fusion.steps import PowerScaling, Smoothing, Times, VectorScaling
from avscene.fusion.tree import Fusion, Layout, fit_fusion
from avscene.labels import LabelSet

MODELS = ("A01", "A02", "A03", "V01", "C04")
A04 = Layout(name="A04", members=("A01", "A02", "A03"), rule="classwise")
E01 = Layout(name="E01", members=(A04, "V01", "C04"), rule="classwise")
E02 = Layout(name="E02", members=(E01,), postprocess=("vector",))
E03 = Layout(name="E03", members=(A04, "V01", "C04"), rule="log-pool", postprocess=("smooth", "power"))
numbers = st.floats(0.05, 3)
few = settings(max_examples=30)  # trees take a while to draw


def labels_of(n: int) -> LabelSet:
    return LabelSet(tuple(f"scene {k}" for k in range(n)))


@st.composite
def rules(draw, names, labels):
    kind = draw(st.sampled_from(["mean", "product", "samplewise", "classwise", "log-pool"]))
    if kind == "classwise":
        return Classwise(weights={name: {scene: draw(numbers) for scene in labels} for name in names})
    if kind == "log-pool":
        return LogPool(exponents={name: draw(numbers) for name in names})
    return {"mean": Mean, "product": Product, "samplewise": Samplewise}[kind]()


@st.composite
def steps(draw, labels):
    kind = draw(st.sampled_from(["power", "vector", "smooth"]))
    if kind == "vector":
        scale, bias = ({scene: draw(numbers) for scene in labels} for _ in range(2))
        return VectorScaling(scale=scale, bias=bias)
    return PowerScaling(exponent=draw(numbers)) if kind == "power" else Smoothing(width=draw(numbers))


@st.composite
def trees(draw, labels, names=MODELS):
    """A fusion of two levels over some of `names`."""
    halves = [names[:3], names[3:]]
    members = []
    for index, half in enumerate(halves):
        chosen = tuple(half[: draw(st.integers(1, len(half)))])
        rule = draw(rules(chosen, labels)) if len(chosen) > 1 else None
        after = tuple(draw(st.lists(steps(labels), max_size=1)))
        members.append(Fusion(name=f"half{index}", members=chosen, rule=rule, steps=after))
    rule = draw(rules(("half0", "half1"), labels))
    return Fusion(
        name="whole", members=tuple(members), rule=rule, steps=tuple(draw(st.lists(steps(labels), max_size=2)))
    )


@st.composite
def model_scores(draw, labels, missing=True):
    """Scores by model, some rows missing, and the times of the rows."""
    n = draw(st.integers(1, 5))
    scores = {}
    for name in MODELS:
        values = draw(arrays(float, (n, len(labels)), elements=st.floats(0.01, 1)))
        scores[name] = values / values.sum(axis=1, keepdims=True)
        if missing:
            scores[name][draw(arrays(bool, n))] = np.nan
    return scores, Times([draw(st.sampled_from("ab")) for _ in range(n)], np.arange(n, dtype=float))


@st.composite
def cases(draw, missing=True):
    labels = labels_of(draw(st.integers(2, 4)))
    return labels, draw(trees(labels)), *draw(model_scores(labels, missing))


def same(found, expected, tolerance=1e-9):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


# --- properties ---


@few
@given(cases())
def test_rows_are_probabilities_or_missing(case) -> None:
    labels, fusion, scores, times = case
    fused = fusion.apply(scores, labels, times)
    missing = np.isnan([scores[name][:, 0] for name in fusion.models]).all(axis=0)
    assert np.isnan(fused[missing]).all()
    same(fused[~missing].sum(axis=1), 1)
    assert (fused[~missing] >= 0).all()


def shuffled(fusion: Fusion, random) -> Fusion:
    members = [member if isinstance(member, str) else shuffled(member, random) for member in fusion.members]
    return fusion.model_copy(update={"members": tuple(random.sample(members, len(members)))})


@few
@given(cases(), st.randoms())
def test_the_order_of_members_rows_and_scenes_does_not_matter(case, random) -> None:
    labels, fusion, scores, times = case
    rows = random.sample(range(len(times.starts)), len(times.starts))
    scenes = random.sample(range(len(labels)), len(labels))
    moved = {name: scores[name][np.ix_(rows, scenes)] for name in random.sample(MODELS, len(MODELS))}
    moved_labels = LabelSet(tuple(labels.names[k] for k in scenes))
    moved_times = Times([times.recordings[k] for k in rows], times.starts[rows])
    expected = fusion.apply(scores, labels, times)[np.ix_(rows, scenes)]
    same(shuffled(fusion, random).apply(moved, moved_labels, moved_times), expected)


@few
@given(cases())
def test_json_round_trips_exactly(case) -> None:
    labels, fusion, scores, times = case
    again = Fusion.model_validate_json(fusion.model_dump_json())
    assert again == fusion
    assert again.models == fusion.models
    np.testing.assert_array_equal(again.apply(scores, labels, times), fusion.apply(scores, labels, times))


@few
@given(cases())
def test_a_model_that_scored_nothing_has_no_effect(case) -> None:
    labels, fusion, scores, times = case
    without_a01 = {**scores, "A01": np.full_like(scores["A01"], np.nan)}
    half, other = fusion.members
    rest = tuple(name for name in half.members if name != "A01")
    alone = len(rest) < 2
    rule = None if alone else half.rule
    if isinstance(rule, LogPool):
        rule = LogPool(exponents={name: rule.exponents[name] for name in rest})
    elif isinstance(rule, Classwise):
        rule = Classwise(weights={name: rule.weights[name] for name in rest})
    found = fusion.model_copy(update={"steps": ()}).apply(without_a01, labels, times)
    bare = [step for step in half.steps if isinstance(step, Smoothing)]  # fitted steps are skipped without A01
    if not rest:
        same(found, other.apply(scores, labels, times))
        return
    without = Fusion(name="half0", members=rest, rule=rule, steps=tuple(bare))
    members = (without, other)
    same(found, Fusion(name="whole", members=members, rule=fusion.rule).apply(scores, labels, times))


@few
@given(cases())
def test_a_model_alone_in_a_row_is_returned_unchanged(case) -> None:
    labels, fusion, scores, times = case
    alone = fusion.models[-1]
    only_one = {name: values if name == alone else np.full_like(values, np.nan) for name, values in scores.items()}
    bare = tuple(member.model_copy(update={"steps": ()}) for member in fusion.members)
    plain = fusion.model_copy(update={"members": bare, "steps": ()})
    same(plain.apply(only_one, labels, times), scores[alone])


@few
@given(cases())
def test_a_single_member_is_returned_unchanged(case) -> None:
    labels, fusion, scores, times = case
    inside = Fusion(name="outer", members=(fusion,))
    np.testing.assert_array_equal(inside.apply(scores, labels, times), fusion.apply(scores, labels, times))
    np.testing.assert_array_equal(Fusion.of("A01").apply(scores, labels), scores["A01"])


@few
@given(st.lists(numbers, min_size=5, max_size=5), st.data())
def test_nested_log_pools_are_flat_ones_of_multiplied_exponents(exponents, data) -> None:
    labels = labels_of(3)
    scores, _ = data.draw(model_scores(labels, missing=False))
    one, two, three, first, second = exponents
    inner = Fusion(
        name="A04",
        members=("A01", "A02", "A03"),
        rule=LogPool(exponents=dict(zip(MODELS, (one, two, three), strict=False))),
    )
    nested = Fusion(name="E", members=(inner, "V01"), rule=LogPool(exponents={"A04": first, "V01": second}))
    flat = dict(zip(("A01", "A02", "A03", "V01"), (one * first, two * first, three * first, second), strict=True))
    expected = Fusion(name="E", members=tuple(flat), rule=LogPool(exponents=flat)).apply(scores, labels)
    floored = (
        inner.apply(scores, labels).min(axis=1) < 2 * pooling.FLOOR
    )  # below it, the logarithms of one pool are clipped
    same(nested.apply(scores, labels)[~floored], expected[~floored])


@few
@given(cases())
def test_the_callers_scores_are_not_changed(case) -> None:
    labels, fusion, scores, times = case
    before = {name: values.copy() for name, values in scores.items()}
    fusion.apply(scores, labels, times)
    for name, values in scores.items():
        np.testing.assert_array_equal(values, before[name])


# --- fitting ---


def validation(n=600, scenes=4, seed=0, skills=(0.6, 0.8, 1.0, 1.8, 2.2)):
    """Scores by model of known skill, the truth, labels and times."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, scenes, n)
    scores = {
        name: softmax(random.normal(0, 1, (n, scenes)) + skill * np.eye(scenes)[truth])
        for name, skill in zip(MODELS, skills, strict=True)
    }
    times = Times([f"recording {k // 10}" for k in range(n)], np.arange(n) % 10 * 1.0)
    return scores, truth, labels_of(scenes), times


def test_a_tree_is_fitted_innermost_members_first() -> None:
    scores, truth, labels, times = validation()
    a04 = pooling.classwise(
        stacked := np.stack([scores[name] for name in A04.members]), pooling.fit_classwise(stacked, truth)
    )
    members = np.stack([a04, scores["V01"], scores["C04"]])
    e01 = pooling.classwise(members, pooling.fit_classwise(members, truth))
    e02 = postprocess.apply_vector_scaling(e01, *postprocess.fit_vector_scaling(e01, truth))
    pooled = pooling.log_pool(members, pooling.fit_log_pool(members, truth))
    smoothed = postprocess.smooth(pooled, times.recordings, times.starts, 3.0)
    e03 = postprocess.apply_power(smoothed, postprocess.fit_power(smoothed, truth))
    for layout, expected in ((A04, a04), (E01, e01), (E02, e02), (E03, e03)):
        same(fit_fusion(layout, scores, truth, labels, times).apply(scores, labels, times), expected, 1e-12)


def test_weights_are_stored_by_name() -> None:
    scores, truth, labels, _ = validation()
    fitted = fit_fusion(E02, scores, truth, labels)
    content = fitted.model_dump(mode="json")
    assert content["name"] == "E02"
    assert content["rule"] is None
    assert set(content["steps"][0]["scale"]) == set(content["steps"][0]["bias"]) == set(labels)
    (inner,) = content["members"]
    assert inner["members"][1:] == ["V01", "C04"]
    assert list(inner["rule"]["weights"]) == ["A04", "V01", "C04"]
    assert inner["rule"]["confidence"] == "precision"
    assert set(inner["members"][0]["rule"]["weights"]["A01"]) == set(labels)
    assert fitted.models == MODELS


@pytest.mark.parametrize("confidence", ["precision", "recall", "f1"])
def test_confidences_can_be_chosen(confidence) -> None:
    scores, truth, labels, _ = validation()
    layout = Layout(name="A", members=("A01", "A02"), rule="classwise", confidence=confidence)
    fitted = fit_fusion(layout, scores, truth, labels)
    expected = pooling.fit_classwise(np.stack([scores["A01"], scores["A02"]]), truth, confidence)
    same([list(fitted.rule.weights[name].values()) for name in ("A01", "A02")], expected)
    assert fitted.rule.confidence == confidence


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_fitting_does_not_raise_the_log_loss_of_the_fitting_rows(seed) -> None:
    scores, truth, labels, _ = validation(n=80, seed=seed)
    pool = fit_fusion(Layout(name="P", members=MODELS, rule="log-pool"), scores, truth, labels).apply(scores, labels)
    assert log_loss(truth, pool) <= min(log_loss(truth, scores[name]) for name in MODELS) + 1e-4
    for kind in ("power", "vector"):
        layout = Layout(name="P", members=MODELS, rule="mean", postprocess=(kind,))
        processed = fit_fusion(layout, scores, truth, labels).apply(scores, labels)
        assert log_loss(truth, processed) <= log_loss(truth, pooling.mean(np.stack(list(scores.values())))) + 1e-4


def test_a_single_member_is_fitted_without_a_rule() -> None:
    scores, truth, labels, _ = validation()
    fitted = fit_fusion(Layout(name="fast", members=("A01",), rule="log-pool"), scores, truth, labels)
    assert fitted.rule is None
    np.testing.assert_array_equal(fitted.apply(scores, labels), scores["A01"])


def test_post_processing_is_fitted_on_complete_rows_and_skipped_elsewhere() -> None:
    scores, truth, labels, _ = validation()
    layout = Layout(name="P", members=("A01", "V01"), rule="mean", postprocess=("power",))
    whole = fit_fusion(layout, {name: values[:400] for name, values in scores.items()}, truth[:400], labels)
    scores["A01"][400:] = np.nan
    fitted = fit_fusion(layout, scores, truth, labels)
    assert fitted.steps == whole.steps
    same(fitted.apply(scores, labels)[400:], scores["V01"][400:])
    assert not np.allclose(
        fitted.apply(scores, labels)[:400], pooling.mean(np.stack([scores["A01"], scores["V01"]]))[:400]
    )


def test_post_processing_without_a_complete_row_is_refused() -> None:
    scores, truth, labels, _ = validation(n=40)
    scores["A01"][:] = np.nan
    with pytest.raises(DataError, match="P: no row was scored by all of A01, V01"):
        fit_fusion(Layout(name="P", members=("A01", "V01"), rule="mean", postprocess=("power",)), scores, truth, labels)


def test_smoothing_needs_times() -> None:
    scores, truth, labels, _ = validation(n=40)
    with pytest.raises(UsageError, match="smoothing needs the recording and the start of every row"):
        fit_fusion(E03, scores, truth, labels)


# --- members replaced by fusions ---


def test_a_fusion_replaces_a_member_and_takes_its_name() -> None:
    scores, truth, labels, _ = validation()
    top = fit_fusion(E01, scores, truth, labels)
    inner = top.members[0]
    names = tuple(member if isinstance(member, str) else member.name for member in top.members)
    shallow = top.model_copy(update={"members": names})
    assert shallow.models == ("A04", "V01", "C04")
    replaced = shallow.within({"A04": inner.model_copy(update={"name": "mine"}), "C04": Fusion.of("C04")})
    assert replaced.models == top.models
    np.testing.assert_array_equal(replaced.apply(scores, labels), top.apply(scores, labels))
    outer = Fusion(name="E02", members=(shallow,)).within({"A04": inner})
    np.testing.assert_array_equal(outer.apply(scores, labels), top.apply(scores, labels))


# --- invalid fusions ---

WEIGHTS = {"a": {"x": 1.0, "y": 1.0}, "b": {"x": 1.0, "y": 1.0}}
BAD = {
    "no members": ({"name": "f", "members": []}, "f: has no members"),
    "a member twice": ({"name": "f", "members": ["a", "a"], "rule": {"kind": "mean"}}, "f: has member a twice"),
    "several without a rule": ({"name": "f", "members": ["a", "b"]}, "several members need a rule"),
    "a rule for one": ({"name": "f", "members": ["a"], "rule": {"kind": "mean"}}, "several members need a rule"),
    "an exponent too few": (
        {"name": "f", "members": ["a", "b"], "rule": {"kind": "log-pool", "exponents": {"a": 1}}},
        "weights of its rule are not those of a, b",
    ),
    "another's weights": (
        {"name": "f", "members": ["a", "c"], "rule": {"kind": "classwise", "weights": WEIGHTS}},
        "weights of its rule are not those of a, c",
    ),
    "a negative exponent": (
        {"name": "f", "members": ["a", "b"], "rule": {"kind": "log-pool", "exponents": {"a": 1, "b": -1}}},
        "greater than or equal to 0",
    ),
    "an infinite exponent": (
        {"name": "f", "members": ["a"], "steps": [{"kind": "power", "exponent": float("inf")}]},
        "finite number",
    ),
    "a bias that is no number": (
        {"name": "f", "members": ["a"], "steps": [{"kind": "vector", "scale": {}, "bias": {"x": float("nan")}}]},
        "finite number",
    ),
    "a window of nothing": (
        {"name": "f", "members": ["a"], "steps": [{"kind": "smooth", "width": 0}]},
        "greater than 0",
    ),
    "an unknown rule": ({"name": "f", "members": ["a", "b"], "rule": {"kind": "median"}}, "does not match any"),
    "a way out of the directory": ({"name": "f", "members": ["../a"]}, "should match pattern"),
    "a line break": ({"name": "f\n", "members": ["a"]}, "should match pattern"),
}


@pytest.mark.parametrize("bad", BAD)
def test_an_invalid_fusion_is_refused(bad: str) -> None:
    content, message = BAD[bad]
    with pytest.raises(ValidationError, match=message):
        Fusion.model_validate(content)


def test_an_invalid_layout_is_refused() -> None:
    with pytest.raises(ValidationError, match="E: 2 members need a rule"):
        Layout(name="E", members=("a", "b"))
    with pytest.raises(ValidationError, match="'median' is not one of mean, product, samplewise, classwise, log-pool"):
        Layout(name="E", members=("a", "b"), rule="median")
    with pytest.raises(ValidationError, match="'polish' is not one of power, vector, smooth"):
        Layout(name="E", members=("a", "b"), rule="mean", postprocess=("polish",))
    with pytest.raises(ValidationError, match="E: has member A04 twice"):
        Layout(name="E", members=(A04, "A04"), rule="mean")


def test_a_fusion_nested_too_deeply_is_refused() -> None:
    text = '{"name":"f","members":[' * 5000 + '"a"' + "]}" * 5000
    with pytest.raises(ValidationError, match="recursion limit"):
        Fusion.model_validate_json(text)


def test_weights_for_different_scenes_do_not_fit() -> None:
    scores, truth, labels, _ = validation()
    assert fit_fusion(E02, scores, truth, labels).fits(LabelSet(labels.names[::-1]))
    for layout in (A04, E01, Layout(name="V", members=("V01",), postprocess=("vector",))):
        fitted = fit_fusion(layout, scores, truth, labels)
        assert not fitted.fits(labels_of(5))
        assert not fitted.fits(labels_of(3))
    assert fit_fusion(Layout(name="P", members=MODELS, rule="log-pool"), scores, truth, labels).fits(labels_of(9))
