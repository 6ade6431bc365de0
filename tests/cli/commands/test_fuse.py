"""Test `avscene fuse` on tables: rules, cross-fitting, saved weights, and what cannot be fused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

import avscene
from avscene.errors import DataError, UsageError
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.fusion.cross_fit import CROSS_FIT_REPEATS, cross_fit
from avscene.fusion.tables import fuse_cross_fitted, fuse_fitted, fuse_saved, fuse_unfitted
from avscene.fusion.tree import Layout, fit_fusion
from avscene.groups import shuffled_folds
from avscene.labels import LabelSet
from avscene.records import Needs
from avscene.tables.alignment import align
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable
from tests.support.command_line import call, run

PREDICTIONS = Path(__file__).parents[4] / "shared" / "predictions"
SCENES = LabelSet(("bus", "park", "tram"))
RULES = ("mean", "product", "samplewise", "classwise", "log-pool")


def predictions(
    seed: int, sharpness: float, n_groups: int = 30, rows: int = 6, first: int = 0, modality: Needs | None = None
) -> ScoreTable:
    """Return predictions that are correct more often for a greater `sharpness`; each group has one scene."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(first, first + n_groups), rows)
    truth = groups % len(SCENES)
    logits = random.normal(size=(len(groups), len(SCENES)))
    logits[np.arange(len(groups)), truth] += sharpness
    values = np.exp(logits)
    return ScoreTable(
        SCENES,
        tuple(f"rec-{group}-{index}.mp4" for index, group in enumerate(groups)),
        values / values.sum(1, keepdims=True),
        groups=tuple(f"group-{group}" for group in groups),
        truth=tuple(SCENES.names[scene] for scene in truth),
        modality=modality,
    )


def written(root: Path, **tables: ScoreTable) -> list[Path]:
    for name, table in tables.items():
        write_table(root / f"{name}.tsv", table)
    return [root / f"{name}.tsv" for name in tables]


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    return written(tmp_path, good=predictions(1, 2.0), fair=predictions(2, 1.5), poor=predictions(3, 0.5))


def layout(*members: str | Layout, rule: str = "log-pool", steps: tuple[str, ...] = ()) -> Layout:
    return Layout(name="fused", members=members, rule=rule, postprocess=steps)


def pooled(tables: dict[str, ScoreTable], rule: str = "log-pool", folds: int = 5) -> ScoreTable:
    return fuse_cross_fitted(align(tables), layout(*tables, rule=rule), folds).table


def loss(table: ScoreTable) -> float:
    return log_loss(table.truth_index, table.probabilities)


# --- the command ---


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_fuses_better_than_the_mean_system(three: list[Path], tmp_path: Path, rule: str) -> None:
    output = tmp_path / "fused.tsv"
    assert call("fuse", *three, "--rule", rule, "--cross-fit", 5, "--output", output) == 0
    fused = read_table(output)
    assert set(fused.filenames) == set(read_table(three[0]).filenames)
    assert loss(fused) < np.mean([loss(read_table(path)) for path in three])


def test_each_postprocessing_step_is_a_row_in_text_json_and_report(
    three: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept, page = tmp_path / "weights.json", tmp_path / "report.html"
    found = run(
        capfd, "fuse", *three, "--rule", "classwise", "--postprocess", "power,vector", "--cross-fit", 4,
        "--output", tmp_path / "fused.tsv", "--json", kept, "--report", page,
    )  # fmt: skip
    assert found.code == 0, found.err
    content = json.loads(kept.read_text())
    stages = ["classwise", "classwise + power", "classwise + power + vector"]
    assert list(content["figures"]) == ["good", "fair", "poor", *stages]
    for stage in stages:
        assert stage in found.out
        assert stage in page.read_text()
    assert content["figures"]["classwise + power"]["log_loss"] < content["figures"]["classwise"]["log_loss"]
    assert [step["kind"] for step in content["fusion"]["steps"]] == ["power", "vector"]
    assert "3 of 4 folds of 30 groups" in content["fitted_on"]


def test_weights_fitted_on_other_tables_are_saved_and_reused(
    three: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "validation").mkdir()
    fit = written(
        tmp_path / "validation",
        good=predictions(11, 2.0, first=100),
        fair=predictions(12, 1.5, first=100),
        poor=predictions(13, 0.5, first=100),
    )
    kept = tmp_path / "weights.json"
    first, second = tmp_path / "first.tsv", tmp_path / "second.tsv"
    found = run(capfd, "fuse", *three, "--output", first, "--json", kept, "--fit", *fit)
    assert found.code == 0, found.err
    assert "180 rows of 30 groups" in found.out
    assert call("fuse", *three, "--weights", kept, "--output", second) == 0
    assert first.read_text() == second.read_text()
    exponents = json.loads(kept.read_text())["fusion"]["rule"]["exponents"]
    assert exponents["good"] > exponents["poor"]
    refused = run(capfd, "fuse", *fit, "--weights", kept, "--output", second, "--overwrite")
    assert "is in both what the weights were fitted on and" in refused.error()


def test_tables_that_name_their_modality_are_pooled_by_modality(tmp_path: Path) -> None:
    paths = written(
        tmp_path,
        a1=predictions(1, 1.0, modality="audio"),
        a2=predictions(2, 1.0, modality="audio"),
        v1=predictions(3, 1.5, modality="video"),
    )
    kept = tmp_path / "weights.json"
    assert call("fuse", *paths, "--cross-fit", 5, "--output", tmp_path / "fused.tsv", "--json", kept) == 0
    fusion = json.loads(kept.read_text())["fusion"]
    assert [member if isinstance(member, str) else member["name"] for member in fusion["members"]] == [
        "audio-pool",
        "v1",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rule", "log-pool"), "log-pool must be fitted on other rows"),
        (("--rule", "mean", "--postprocess", "power"), "power must be fitted on other rows"),
        (("--rule", "loudest"), "--rule 'loudest' is not one of mean, product"),
        (("--postprocess", "polish", "--cross-fit", 5), "--postprocess 'polish' is not one of"),
        (("--cross-fit", 31), "30 group(s) into 31 folds"),
        (("--cross-fit", 1), "30 group(s) into 1 folds: at least 2"),
        (("--cross-fit", 5, "--fit", "good.tsv"), "give one of them"),
        (("--fit", "good.tsv"), "--fit: 1 table(s) for 3 systems"),
        (("--fit", "good.tsv", "fair.tsv", "poor.tsv"), "fit weights on other recordings than those that are fused"),
        (("--weights", "good.tsv"), "is not what `avscene fuse --json` writes"),
        (("--weights", "absent.json"), "absent.json: No such file"),
        (("--rule", "mean", "--postprocess", "smooth"), "smoothing needs the recording and the start"),
    ],
)
def test_wrong_options_are_one_line(
    three: list[Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run(capfd, "fuse", *[path.name for path in three], "--output", "out.tsv", *arguments)
    assert message in refused.error()
    assert not (tmp_path / "out.tsv").exists()


@pytest.mark.parametrize(
    ("group", "scene", "message"),
    [
        ("group-{}", "bus", "are of one scene (bus)"),
        ("group", "park", "1 group(s) into 2 folds"),
    ],
)
def test_weights_cannot_be_fitted_on_one_scene_or_one_group(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], group: str, scene: str, message: str
) -> None:
    rows = [f"{k}.mp4\t{group.format(k)}\t{scene if k % 2 else 'bus'}\t0.6\t0.4" for k in range(6)]
    for name in ("a", "b"):
        (tmp_path / f"{name}.tsv").write_text("\n".join(["filename\tgroup\ttrue_label\tbus\tpark", *rows]) + "\n")
    tables = (tmp_path / "a.tsv", tmp_path / "b.tsv")
    refused = run(capfd, "fuse", *tables, "--cross-fit", 2, "--output", tmp_path / "out.tsv")
    assert message in refused.error()


@pytest.mark.parametrize("rule", [("--rule", "mean"), ()])
def test_tables_without_truth_are_fused_but_not_evaluated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], rule: tuple[str, ...]
) -> None:
    for name, values in (("a", "0.6\t0.4"), ("b", "0.2\t0.8")):
        (tmp_path / f"{name}.tsv").write_text(f"filename\tbus\tpark\nx.mp4\t{values}\n")
    found = run(capfd, "fuse", tmp_path / "a.tsv", tmp_path / "b.tsv", *rule, "--output", tmp_path / "out.tsv")
    assert found.code == 0
    assert found.messages == ["fused but not evaluated: no column 'true_label'; fix: give --truth meta.csv"]
    assert found.out.startswith(f"{tmp_path / 'out.tsv'}: written; rule mean; weights fitted on nothing")
    assert rule or found.out.endswith(": the true scenes are unknown\n")
    np.testing.assert_allclose(read_table(tmp_path / "out.tsv").probabilities, [[0.4, 0.6]])


def test_without_options_the_log_pool_is_cross_fitted(
    three: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = run(capfd, "fuse", *three, "--output", tmp_path / "auto.tsv")
    assert found.code == 0, found.err
    assert "rule log-pool; weights fitted on the other 4 of 5 folds of 30 groups" in found.out.splitlines()[0]
    assert call("fuse", *three, "--rule", "log-pool", "--cross-fit", 5, "--output", tmp_path / "asked.tsv") == 0
    assert (tmp_path / "auto.tsv").read_text() == (tmp_path / "asked.tsv").read_text()


def test_the_ranking_is_by_log_loss_and_details_are_printed_on_request(
    three: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short = run(capfd, "fuse", *three, "--output", tmp_path / "fused.tsv").out
    tables = {**{path.stem: read_table(path) for path in three}, "log-pool": read_table(tmp_path / "fused.tsv")}
    losses = {name: oracle.log_loss(table.truth_index, table.probabilities) for name, table in tables.items()}
    places = [line.split()[1] for line in short.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"], ["4"])]
    assert places == sorted(losses, key=lambda name: losses[name])
    assert "confusion matrix" not in short
    details = run(capfd, "fuse", *three, "--output", tmp_path / "fused.tsv", "--details", "--overwrite").out
    assert details.count("confusion matrix") == 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"groups": None}, "the groups are unknown, and a cross-fit of log-pool needs 5"),
        ({"groups": tuple("abc"[k % 3] for k in range(180))}, "there are only 3 groups, and a cross-fit"),
        ({"truth": ("bus",) * 180}, "all rows are of one scene"),
    ],
)
def test_where_nothing_can_be_fitted_the_rule_is_the_mean(changes, reason: str) -> None:
    tables = {name: replace(predictions(seed, 1.0), **changes) for seed, name in enumerate("ab")}
    found = avscene.fuse(tables)
    assert found.how.startswith("rule mean; ")
    assert reason in found.how
    mean = np.mean([align(tables).tables[name].probabilities for name in "ab"], axis=0)
    np.testing.assert_allclose(found.table.probabilities, mean)


def test_tables_of_one_file_name_are_named_by_their_folders(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = []
    for seed, name in enumerate(("early", "late")):
        (tmp_path / name).mkdir()
        paths += written(tmp_path / name, predictions=predictions(seed, 1.0))
    kept = tmp_path / "weights.json"
    assert run(capfd, "fuse", *paths, "--output", tmp_path / "f.tsv", "--json", kept).code == 0
    assert list(json.loads(kept.read_text())["fusion"]["rule"]["exponents"]) == ["early", "late"]
    named = [f"{name}={path}" for name, path in zip("xy", paths, strict=True)]
    assert run(capfd, "fuse", *named, "--output", tmp_path / "f.tsv", "--json", kept, "--overwrite").code == 0
    assert list(json.loads(kept.read_text())["fusion"]["rule"]["exponents"]) == ["x", "y"]
    assert "is given twice" in run(capfd, "fuse", paths[0], paths[0], "--output", tmp_path / "g.tsv").error()


def test_python_fuses_like_the_command(three: list[Path], tmp_path: Path) -> None:
    kept = tmp_path / "weights.json"
    assert call("fuse", *three, "--output", tmp_path / "f.tsv", "--json", kept) == 0
    found = avscene.fuse([read_table(path) for path in three])
    assert json.loads(json.dumps(found.to_dict())) == json.loads(kept.read_text())
    np.testing.assert_allclose(found.table.probabilities, read_table(tmp_path / "f.tsv").probabilities, atol=1e-14)
    assert found.evaluation is not None
    assert found.to_pandas().loc["good", "n"] == 180
    assert len(repr(found).splitlines()) == 1
    assert "rule log-pool" in found._repr_html_()
    for wrong in ({"rule": "loudest"}, {"postprocess": ["polish"]}, {"confidence": "high"}):
        with pytest.raises(UsageError, match="is not one of"):
            avscene.fuse(three, **wrong)
    with pytest.raises(UsageError, match="give one of them"):
        avscene.fuse(three, cross_fit=5, weights=kept)


def test_true_scenes_may_come_from_a_meta_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = {name: predictions(seed, 1.0) for seed, name in enumerate("ab")}
    paths = written(tmp_path, **{name: replace(table, truth=None) for name, table in tables.items()})
    meta = tmp_path / "meta.csv"
    rows = zip(tables["a"].filenames, tables["a"].truth, strict=True)
    meta.write_text("path,label\n" + "".join(f"{name},{scene}\n" for name, scene in rows))
    found = run(capfd, "fuse", *paths, "--truth", meta, "--output", tmp_path / "f.tsv")
    assert found.code == 0, found.err
    assert "rule log-pool; " in found.out
    assert read_table(tmp_path / "f.tsv").truth is not None


# --- fitting on other groups ---


def test_no_row_is_fused_by_weights_fitted_on_its_group(three: list[Path]) -> None:
    """Changing the truth of one group changes the fused probabilities of other groups but not its own."""
    tables = {path.stem: read_table(path) for path in three}
    before = pooled(tables)
    changed = {}
    for name, table in align(tables).tables.items():
        truth = [
            "tram" if group == "group-0" else label for group, label in zip(table.groups, table.truth, strict=True)
        ]
        changed[name] = ScoreTable(
            table.labels, table.filenames, table.probabilities, groups=table.groups, truth=tuple(truth)
        )
    aligned = align(changed)
    groups = np.array(before.groups)
    scores = {name: table.probabilities for name, table in aligned.tables.items()}
    # Folds depend on the scene of each group, so both calls use the folds of the true scenes.
    truth = next(iter(aligned.tables.values())).truth_index
    folds = shuffled_folds(before.groups, before.truth_index, 5, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avscene.fusion.cross_fit.shuffled_folds", lambda *_: folds)
        was = cross_fit(layout(*scores), scores, before.truth_index, before.groups, SCENES, 5).stages["log-pool"]
        now = cross_fit(layout(*scores), scores, truth, before.groups, SCENES, 5).stages["log-pool"]
    own = folds == folds[groups == "group-0"][0]
    np.testing.assert_array_equal(was[own], now[own])
    assert not np.allclose(was[~own], now[~own])


def test_groups_and_recordings_on_both_sides_are_refused() -> None:
    ours = {"a": predictions(1, 1.0), "b": predictions(2, 1.0)}
    theirs = {"a": predictions(3, 1.0, first=29), "b": predictions(4, 1.0, first=29)}
    with pytest.raises(DataError, match="group 'group-29' is in both"):
        fuse_fitted(align(ours), align(theirs), layout("a", "b"))


def test_what_is_reported_is_one_fit_and_not_the_mean_of_five(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each reported log loss is that of one cross-fit by scikit-learn's log loss; the table is one of them."""
    paths = written(tmp_path, a=predictions(1, 1.0, n_groups=12), b=predictions(2, 0.8, n_groups=12))
    kept, output = tmp_path / "weights.json", tmp_path / "fused.tsv"
    options = ("--rule", "classwise", "--postprocess", "vector", "--cross-fit", 4, "--output", output, "--json", kept)
    found = run(capfd, "fuse", *paths, *options)
    assert found.code == 0, found.err
    aligned = align({path.stem: read_table(path) for path in paths})
    first = next(iter(aligned.tables.values()))
    scores = {name: table.floored for name, table in aligned.tables.items()}
    plan, expected = layout("a", "b", rule="classwise", steps=("vector",)), []
    for seed in range(CROSS_FIT_REPEATS):
        folds, fused = shuffled_folds(first.groups, first.truth_index, 4, seed), np.empty(first.probabilities.shape)
        for fold in range(4):
            on, off = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            fitted = fit_fusion(
                plan,
                {name: values[on] for name, values in scores.items()},
                first.truth_index[on],
                first.labels,
                groups=[first.groups[row] for row in on],
            )
            fused[off] = fitted.apply({name: values[off] for name, values in scores.items()}, first.labels)
        expected.append(oracle.log_loss(first.truth_index, fused, labels=[0, 1, 2]))
    content = json.loads(kept.read_text())
    stage = "classwise + vector"
    assert content["cross_fit_log_losses"][stage] == pytest.approx(expected, abs=1e-9)
    mean = float(np.mean(expected))
    assert f"{stage} {mean:.4f} ({min(expected):.4f} to {max(expected):.4f})" in found.out
    nearest = min(expected, key=lambda one: abs(one - mean))
    assert content["figures"][stage]["log_loss"] == pytest.approx(nearest, abs=1e-9)
    assert loss(read_table(output)) == pytest.approx(nearest, abs=1e-4)


# --- properties ---


@settings(max_examples=10)
@given(st.randoms(), st.sampled_from(RULES))
def test_the_order_of_rows_scenes_and_systems_changes_nothing(random, rule: str) -> None:
    tables = {"a": predictions(1, 2.0, 12, 3), "b": predictions(2, 1.0, 12, 3)}
    moved = {}
    for name in random.sample(list(tables), 2):
        table = tables[name]
        rows = random.sample(range(len(table)), len(table))
        scenes = random.sample(range(3), 3)
        moved[name] = ScoreTable(
            LabelSet(tuple(SCENES.names[scene] for scene in scenes)),
            tuple(table.filenames[row] for row in rows),
            table.probabilities[np.ix_(rows, scenes)],
            groups=tuple(table.groups[row] for row in rows),
            truth=tuple(table.truth[row] for row in rows),
        )
    one, other = pooled(tables, rule, 3), pooled(moved, rule, 3)
    assert one.filenames == other.filenames
    assert one.labels == other.labels
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_the_fusion_of_one_system_is_the_system(rule: str) -> None:
    table = predictions(1, 1.0)
    aligned = align({"a": table})
    fused = fuse_cross_fitted(aligned, layout("a", rule=rule), 5).table
    np.testing.assert_allclose(fused.probabilities, aligned.tables["a"].probabilities, atol=1e-12)


def test_an_uninformative_system_changes_the_pool_by_less_than_the_noise() -> None:
    tables = {"a": predictions(1, 2.0), "b": predictions(2, 1.5)}
    n = len(tables["a"])
    blank = predictions(3, 0.0)
    useless = ScoreTable(SCENES, blank.filenames, np.full((n, 3), 1 / 3), groups=blank.groups, truth=blank.truth)
    alone, with_it = pooled(tables), pooled({**tables, "useless": useless})
    noise = np.std([loss(pooled({"a": predictions(10 + k, 2.0), "b": predictions(20 + k, 1.5)})) for k in range(6)])
    assert abs(loss(with_it) - loss(alone)) < 0.1 * noise


def test_a_system_given_twice_does_not_sharpen_the_pool() -> None:
    tables = {"a": predictions(1, 2.0), "b": predictions(2, 1.5)}
    once, twice = pooled(tables), pooled({**tables, "again": tables["a"]})
    np.testing.assert_allclose(twice.probabilities, once.probabilities, atol=2e-3)
    product = fuse_unfitted(align(tables), layout("a", "b", rule="product")).table
    doubled = fuse_unfitted(align({**tables, "again": tables["a"]}), layout("a", "b", "again", rule="product")).table
    assert doubled.probabilities.max(1).mean() > product.probabilities.max(1).mean() + 0.01  # as the plain product does


def test_saved_weights_fuse_other_recordings() -> None:
    tables = {"a": predictions(1, 2.0), "b": predictions(2, 1.0)}
    saved = fuse_cross_fitted(align(tables), layout("a", "b"), 5).saved
    others = align({"a": predictions(5, 2.0, first=50), "b": predictions(6, 1.0, first=50)})
    fused = fuse_saved(others, saved).table
    assert loss(fused) < min(loss(table) for table in others.tables.values())
    with pytest.raises(DataError, match="the weights are for a, b, but the tables are a"):
        fuse_saved(align({"a": predictions(5, 2.0, first=50)}), saved)


# --- published predictions ---


@pytest.mark.skipif(not PREDICTIONS.is_dir(), reason=f"no real predictions at {PREDICTIONS}")
def test_the_pool_of_three_published_systems_beats_each_of_them() -> None:
    tables = {name: read_table(PREDICTIONS / f"tau_{name}.tsv") for name in ("early", "late", "mix")}
    fused = pooled(tables)
    assert CROSS_FIT_REPEATS == 5
    assert loss(fused) <= 0.4836
    assert accuracy(fused.truth_index, fused.probabilities) >= 0.827
    assert loss(fused) < min(loss(table) for table in tables.values())
    for rule, most in (("classwise", 0.492), ("log-pool", 0.485)):
        stages = fuse_cross_fitted(align(tables), layout(*tables, rule=rule, steps=("vector",)), 5).stages
        assert loss(stages[f"{rule} + vector"]) <= most
