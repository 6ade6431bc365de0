"""Test `reproduce` and `train` on a small toytown: every row is made, measured and reused."""

import html
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import avscene
from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.datasets.toytown.build import build_toytown
from avscene.errors import DataError
from avscene.models.registry import find, leaves, systems
from avscene.tables.prediction_table import read_table
from avscene.training.experiment.split import Split
from avscene.training.reproduce import table_systems
from tests.support.command_line import Run, call, run
from tests.support.lossy_copies import copy_lossy
from tests.support.processes import wait_until

WEIGHTLESS = {"B01", "B02", "B03", "C01", "C02", "C03"}
SCENES = ("airport", "bus", "park", "tram")
SAME = 1e-3  # largest difference of a probability between the store and the files
FILES = ("reproduction.md", "reproduction.json", "reproduction.html")


@pytest.fixture(scope="module")
def toytown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some scenes of toytown as AAC, Opus and 24-bit audio."""
    root = tmp_path_factory.mktemp("reproduce")
    build_toytown(root / "rendered", locations_per_scene=3, recordings_per_location=1, seconds=2)
    data = read_dataset(root / "rendered")
    some = tuple(example for example in data.examples if example.label in SCENES)
    return copy_lossy(DataSet(data.source, some), root / "toytown")


@pytest.fixture(scope="module")
def store(toytown: Path) -> SegmentStore:
    """The store of the recordings."""
    return prepare(read_dataset(toytown), toytown.parent / "toytown.store", StoreSpec()).store


@pytest.fixture(scope="module")
def made(store: SegmentStore) -> Path:
    """Work directory of the whole table with stand-ins."""
    output = store.directory.parent / "made"
    assert call("reproduce", store.directory, "--output", output, "--backbones", "small") == 0
    return output


def rows_of(output: Path) -> dict[str, dict]:
    content = json.loads((output / "reproduction.json").read_text())
    return {row["index"]: row for row in content["rows"]}


def test_every_row_of_the_paper_is_measured_unless_its_weights_are_absent(made: Path) -> None:
    rows = rows_of(made)
    assert list(rows) == list(table_systems())
    assert json.loads((made / "reproduction.json").read_text())["data"] == "toytown"
    assert [name for name, row in systems().items() if row.paper] == [name for name in rows if rows[name]["published"]]
    for name, row in rows.items():
        if name in WEIGHTLESS:
            assert row["measured"] is None
            assert row["absent"]["reason"] == "weights absent"
            assert "run" in row["absent"]["remedy"]
        else:
            assert row["absent"] is None
            assert row["measured"]["segments"]["n"] == 2 * len(SCENES)
            assert row["measured"]["recordings"]["n"] == len(SCENES)
            assert row["difference"] is None
            assert row["ours"] == (find(name).paper is None)


def test_a_table_of_stand_ins_warns_in_every_format(made: Path) -> None:
    for name in FILES:
        text = html.unescape((made / name).read_text())
        assert "Small networks in place of the paper's" in text
        assert "tf_efficientnet_lite1" in text


def test_no_row_was_fitted_on_what_it_was_measured_on(made: Path, store: SegmentStore) -> None:
    test = {example.name for example in store.examples if example.columns["split"] == "test"}
    for name in set(rows_of(made)) - WEIGHTLESS:
        assert set(read_table(made / "tables" / f"{name}.tsv").filenames) == test
        validation = read_table(made / "systems" / name / "validation.tsv")
        assert not test & set(validation.filenames)
        assert not set(validation.groups or ()) & {example.group for example in store.examples if example.name in test}


def test_an_ensemble_is_a_checkpoint_that_classifies_like_its_table(made: Path, toytown: Path) -> None:
    system = avscene.load(made / "systems" / "E02")
    assert {model.name for model in system.models} == set(leaves("E02"))
    assert system.mismatch is not None
    table = read_table(made / "tables" / "E02.tsv")
    example = next(item for item in read_dataset(toytown).examples if item.columns["split"] == "test")
    prediction = system.classify(example.path, audio=example.audio)
    assert prediction.mismatch is not None
    for segment in prediction.segments:
        assert segment.familiarity is not None
        assert set(segment.familiarity.by_model) == set(segment.by_model) == set(leaves("E02"))
    rows = [row for row, name in enumerate(table.filenames) if name == example.name]
    found = np.array([segment.probabilities for segment in prediction.segments])
    np.testing.assert_allclose(found, table.probabilities[rows], atol=SAME)


def test_files_get_the_probabilities_of_the_store(made: Path, toytown: Path) -> None:
    """The table of every row and of each of its models, from the store and by `predict` from the files."""
    output = made / "predicted" / "scores.tsv"
    for name in sorted(set(rows_of(made)) - WEIGHTLESS):
        checkpoint = made / "systems" / name
        only = ("--only", "split=test", "--by-model", "--output", output)
        assert call("predict", "--system", checkpoint, "--data", toytown, *only) == 0
        for model, path in {
            name: output,
            **{leaf: output.with_suffix(f".{leaf}.tsv") for leaf in leaves(name)},
        }.items():
            found, expected = read_table(path), read_table(made / "tables" / f"{model}.tsv")
            assert found.filenames == expected.filenames
            np.testing.assert_array_equal(found.starts, expected.starts)
            np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=SAME, err_msg=model)
        shutil.rmtree(output.parent)


def test_a_second_run_makes_nothing_again_and_reports_the_same(made: Path, store: SegmentStore) -> None:
    before = {path: path.stat().st_mtime_ns for folder in ("systems", "scores") for path in (made / folder).rglob("*")}
    text = (made / "reproduction.md").read_text()
    assert call("reproduce", store.directory, "--output", made, "--backbones", "small") == 0
    after = {path: path.stat().st_mtime_ns for folder in ("systems", "scores") for path in (made / folder).rglob("*")}
    assert after == before
    assert (made / "reproduction.md").read_text() == text


def test_results_of_other_settings_are_not_mixed(
    made: Path, store: SegmentStore, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = run(capfd, "reproduce", store.directory, "--output", made, "--systems", "C04", "--offline")
    assert "backbones differ" in refused.error()
    assert str(made) in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "E02,E99"], "'E99' is neither a system"),
        (["--backbones", "tiny"], "--backbones 'tiny' is not one of paper, small"),
        (["--holdout", "fold=5"], "has no column 'fold'"),
        (["--holdout", "label=tram"], "scene 'tram' is only in what label=tram holds out"),
    ],
)
def test_invalid_arguments_are_one_line(
    store: SegmentStore, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    refused: Run = run(capfd, "reproduce", store.directory, "--output", tmp_path / "out", *arguments)
    assert message in refused.error()


def test_exit_code_4_if_no_row_could_be_measured(
    store: SegmentStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = run(capfd, "reproduce", store.directory, "--output", tmp_path / "out", "--systems", "C03,E01", "--offline")
    assert found.code == 4
    assert [line.partition(":")[0] for line in found.messages] == ["C03", "E01"]
    assert {row["absent"]["reason"] for row in rows_of(tmp_path / "out").values()} == {"weights absent"}


def test_training_a_named_system_leaves_only_its_checkpoint(
    store: SegmentStore, toytown: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trained = run(capfd, "train", "full-fusion", "--data", store.directory, "--output", tmp_path / "mine")
    assert trained.code == 0, trained.err
    assert "full-fusion: log loss" in trained.out
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md", "config.json", "held_out", "model.safetensors", "validation.tsv",
    ]  # fmt: skip
    example = read_dataset(toytown).examples[0]
    assert avscene.load(tmp_path / "mine").classify(example.path).labels == store.labels


def test_fast_trains_on_the_recordings_of_a_store(store: SegmentStore, tmp_path: Path) -> None:
    assert call("train", "fast", "--data", store.directory, "--output", tmp_path / "mine") == 0
    assert avscene.load(tmp_path / "mine").labels == store.labels


def test_absent_weights_stop_a_training_with_exit_code_4(
    store: SegmentStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = run(capfd, "train", "A01", "--data", store.directory, "--output", tmp_path / "mine", "--offline")
    assert "regnety_064" in refused.error(4)
    untrained = run(capfd, "train", "C01", "--data", store.directory, "--output", tmp_path / "mine")
    assert "needs no training" in untrained.error()


def test_validation_has_a_group_of_every_scene_and_shares_none_with_training(store: SegmentStore) -> None:
    split = Split.of(store, "split=test")
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts)) == list(range(len(store)))
    groups = [{store.examples[row].group for row in part} for part in parts]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]
    for part in parts:
        assert {store.examples[row].label for row in part} == set(store.labels)


def test_a_scene_of_one_group_is_refused(toytown: Path, tmp_path: Path) -> None:
    data = read_dataset(toytown)
    kept = [item for item in data.examples if item.label == "tram"][:1]
    rest = [item for item in data.examples if item.label == "bus"]
    store = prepare(DataSet(data.source, (*rest, *kept)), tmp_path / "few.store", StoreSpec()).store
    with pytest.raises(DataError, match="'tram' has only 1 group"):
        Split.of(store, None)


def test_work_directories_with_earlier_names_of_backbones_are_recognised(made: Path, store: SegmentStore) -> None:
    path = made / "workshop.json"
    key = path.read_text()
    path.write_text(key.replace('"small"', '"embedded"'))
    assert call("reproduce", store.directory, "--output", made, "--backbones", "embedded", "--systems", "C04") == 0
    path.write_text(key)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_three_times_the_table_is_the_same(made: Path, store: SegmentStore, tmp_path: Path) -> None:
    """Killed as soon as a training has a state, predictions are written, and an ensemble is complete."""
    output = tmp_path / "killed"
    command = [sys.executable, "-m", "avscene", "reproduce", str(store.directory), "--output", str(output)]
    for reached in ("training/A02/state.safetensors", "scores/V01.safetensors", "systems/V04"):
        run = subprocess.Popen([*command, "--backbones", "small"], stderr=subprocess.DEVNULL)
        wait_until((output / reached).exists, run)
        run.send_signal(signal.SIGKILL)
        run.wait()
    finished = subprocess.run([*command, "--backbones", "small"], stderr=subprocess.DEVNULL, check=False)
    assert finished.returncode == 0
    assert rows_of(output) == rows_of(made)
