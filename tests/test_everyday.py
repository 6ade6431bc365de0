"""Test the accuracy of recipes `fast` and `full` and of system `conse` on real photographs and real audio."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avscene.evaluation.metrics import compute_metrics
from avscene.media.sampling import Sampling
from avscene.tables.prediction_table import read_table
from tests.support.command_line import call

DATA = Path(__file__).parents[1].parent / "shared" / "everyday"
RECORDINGS, HELD_OUT = 400, 80
SILENT = 29  # held-out segments below -70 dBFS, as the ffmpeg program decodes them: some sound recordings end early

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not (DATA / "meta.csv").is_file(), reason=f"the everyday data set is not at {DATA}"),
]


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory in which recipe `fast` is trained on folds 1 to 4."""
    return tmp_path_factory.mktemp("fast")


@pytest.fixture(scope="module")
def fast_metrics(fast: Path) -> dict[str, dict]:
    """Train recipe `fast`; return its metrics on fold 5 by model."""
    return train_and_evaluate("fast", ("audio", "video"), fast)


@pytest.fixture(scope="module")
def full_metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Train recipe `full`; return its metrics on fold 5 by model."""
    return train_and_evaluate("full", ("full-audio", "full-video", "full-fusion"), tmp_path_factory.mktemp("full"))


def train_and_evaluate(recipe: str, models: tuple[str, ...], root: Path) -> dict[str, dict]:
    system, scores, metrics_file = root / "system", root / "scores.tsv", root / "metrics.json"
    assert call("train", recipe, "--data", DATA, "--output", system, "--holdout", "fold=5") == 0
    part = ("--data", DATA, "--only", "fold=5")
    assert call("predict", "--system", system, *part, "--output", scores, "--by-model") == 0
    tables = {"fused": scores} | {model: scores.with_suffix(f".{model}.tsv") for model in models}
    report = root / "report.html"
    assert call("evaluate", *tables.values(), "--json", metrics_file, "--report", report) == 0
    assert report.stat().st_size > 10_000
    content = json.loads(metrics_file.read_text())
    return {name: content[str(path)] for name, path in tables.items()}


def test_every_segment_of_the_held_out_fold_with_content_is_scored(fast_metrics: dict[str, dict]) -> None:
    n_segments = HELD_OUT * 5
    expected = {"fused": n_segments, "audio": n_segments - SILENT, "video": n_segments}
    assert {name: found["n"] for name, found in fast_metrics.items()} == expected


@pytest.mark.parametrize(("model", "least"), [("audio", 0.76), ("video", 0.935), ("fused", 0.993)])
def test_accuracy(fast_metrics: dict[str, dict], model: str, least: float) -> None:
    assert fast_metrics[model]["accuracy"] >= least - 1e-9


def test_log_loss(fast_metrics: dict[str, dict]) -> None:
    assert fast_metrics["fused"]["log_loss"] <= 0.040
    assert fast_metrics["fused"]["log_loss"] < min(fast_metrics[name]["log_loss"] for name in ("audio", "video"))


def test_few_groups_that_are_all_right_do_not_make_it_certain(tmp_path: Path) -> None:
    """Trained on the 15 groups of three scenes in fold 1, judged on folds 2 to 5; without a temperature it is 0.023."""
    for scene in ("coast", "highway", "office"):
        shutil.copytree(DATA / scene, tmp_path / "data" / scene)
    with (DATA / "meta.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if (tmp_path / "data" / row["path"]).is_file()]
    lines = ["path,label,group,split"]
    for row in rows:
        split = "train" if row["fold"] == "1" else "test"
        lines.append(f"{row['path']},{row['label']},{row['group']},{split}")
    (tmp_path / "data" / "meta.csv").write_text("\n".join(lines) + "\n")
    assert len({row["group"] for row in rows if row["fold"] == "1"}) == 15
    system, scores, metrics_file = tmp_path / "system", tmp_path / "scores.tsv", tmp_path / "metrics.json"
    assert call("train", "fast", "--data", tmp_path / "data", "--output", system) == 0
    part = ("--data", tmp_path / "data", "--only", "split=test")
    assert call("predict", "--system", system, *part, "--output", scores, "--by-model") == 0
    assert call("evaluate", tmp_path / "scores.video.tsv", "--json", metrics_file) == 0
    (found,) = json.loads(metrics_file.read_text()).values()
    assert found["log_loss"] <= 0.03


def test_audio_fine_tuning_beats_a_head_on_a_frozen_network(
    fast_metrics: dict[str, dict], full_metrics: dict[str, dict]
) -> None:
    assert full_metrics["full-audio"]["log_loss"] < fast_metrics["audio"]["log_loss"]


def test_recipe_full(full_metrics: dict[str, dict]) -> None:
    assert full_metrics["fused"]["accuracy"] >= 0.995 - 1e-9
    assert full_metrics["fused"]["log_loss"] <= 0.030


class Plain:
    """A network called as a first script would: in float32, nothing folded, one row at a time."""

    def __init__(self, network: nn.Module, *_: object) -> None:
        self._network = network.eval()

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.cat([self._network(*row) for row in zip(*(values.split(1) for values in inputs), strict=True)])


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_faster_inference_predicts_the_same_scenes(
    fast: Path, fast_metrics: dict[str, dict], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = ("--system", fast / "system", "--data", DATA, "--only", "fold=5", "--by-model")
    assert call("predict", *part, "--output", fast / f"{precision}.tsv", "--precision", precision) == 0
    monkeypatch.setattr("avscene.models.efficientnet_lite.Inference", Plain)
    monkeypatch.setattr(Sampling, "has_target", lambda *_: True)  # decodes every image
    assert call("predict", *part, "--output", fast / "plain.tsv", "--precision", "float32") == 0
    for ending in (".tsv", ".audio.tsv", ".video.tsv"):
        plain = read_table(fast / f"plain{ending}").probabilities
        rows = read_table(fast / f"{precision}{ending}").probabilities
        second, first = np.sort(plain, axis=1)[:, -2:].T
        assert np.abs(rows - plain).max() <= 0.01
        assert not ((rows.argmax(axis=1) != plain.argmax(axis=1)) & (first - second > 0.02)).any()


def test_the_embedded_default_without_training(tmp_path: Path) -> None:
    assert call("predict", "--system", "conse", "--data", DATA, "--output", tmp_path / "scores.tsv") == 0
    table = read_table(tmp_path / "scores.tsv").by_recording()
    assert len(table) == RECORDINGS
    assert np.unique(table.truth).size == 10
    assert compute_metrics(table).accuracy >= 0.58
