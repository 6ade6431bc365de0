"""Test that checkpoints load as they were saved, and that changed ones are refused."""

import hashlib
import json
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avscene import inference as pipeline
from avscene.errors import CheckpointError, UsageError
from avscene.fusion.rules import LogPool
from avscene.fusion.tree import Fusion
from avscene.inference import System
from avscene.labels import LabelSet
from avscene.models import checkpoint
from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS, Config, load_checkpoint, save_checkpoint
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import FRAMES
from avscene.models.linear_heads import (
    AudioEncoder,
    AudioHeadPart,
    LinearHead,
    LinearHeadModel,
    VideoEncoder,
    VideoHeadPart,
)
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable
from avscene.training.card import model_card
from tests.support.fast_system import LOG_MEL, MEL_IMAGE
from tests.support.media_files import write_media

CPU = Runtime.choose("cpu", "float32")
LABELS = LabelSet(("forest", "kitchen", "street café"))
EXPONENTS = {"audio": 0.8125, "video": 1.3}
FUSION = Fusion(name="fast", members=("audio", "video"), rule=LogPool(exponents=EXPONENTS))


def heads(scenes: int = 3) -> dict[str, LinearHead]:
    random = np.random.default_rng(0)
    sizes = {"audio": 2432, "video": 1984}
    return {
        name: LinearHead(random.normal(0, 0.02, (size, scenes)), random.normal(0, 1, scenes))
        for name, size in sizes.items()
    }


def tensors(made: dict[str, LinearHead]) -> dict[str, dict[str, Tensor]]:
    return {name: head.tensors() for name, head in made.items()}


def config(**changes: object) -> Config:
    metrics = {name: {"log_loss": 0.5, "accuracy": 0.75, "n": 8} for name in ("audio", "video", "fused")}
    given: dict[str, object] = {
        "name": "fast",
        "recipe": "fast",
        "labels": LABELS.names,
        "hop": 1.0,
        "models": (
            AudioHeadPart(name="audio", log_mel=LOG_MEL, image_size=MEL_IMAGE),
            VideoHeadPart(name="video", frames=FRAMES),
        ),
        "fusion": FUSION,
        "training": {"data": "meta.csv", "held_out": None, "recordings": 8, "heads": {"audio": {"ridge": 3e-05}}},
        "metrics": metrics,
        "versions": {"avscene": "0.1.0"},
    }
    return Config(**{**given, **changes})


def save(directory: Path, **changes: object) -> Path:
    made = config(**changes)
    save_checkpoint(directory, made, tensors(heads()), model_card(made))
    return directory


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(tmp_path / "system")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("media") / "recording.mp4", 2.0, fps=8)


def test_a_loaded_system_predicts_what_the_saved_one_did(saved: Path, recording: Path) -> None:
    made = heads()
    models = (
        LinearHeadModel("audio", LABELS, AudioEncoder(LOG_MEL, CPU, MEL_IMAGE), made["audio"]),
        LinearHeadModel("video", LABELS, VideoEncoder(FRAMES, CPU), made["video"]),
    )
    before = System("fast", LABELS, models, FUSION).classify(recording)
    loaded = pipeline.load(saved, device="cpu", precision="float32")
    after = loaded.classify(recording)
    assert (loaded.name, loaded.labels, loaded.hop) == ("fast", LABELS, 1.0)
    assert [model.name for model in loaded.models] == ["audio", "video"]
    np.testing.assert_allclose(after.probabilities, before.probabilities, atol=1e-5)
    assert len(after.segments) == len(before.segments) == 2
    for ours, theirs in zip(after.segments, before.segments, strict=True):
        assert list(ours.by_model) == ["audio", "video"]
        for name in EXPONENTS:
            np.testing.assert_allclose(ours.by_model[name], theirs.by_model[name], atol=1e-5)
    assert before.probabilities.max() - before.probabilities.min() > 0.05  # uniform rows would prove nothing


def test_the_loaded_configuration_equals_the_saved_one(saved: Path) -> None:
    loaded = load_checkpoint(saved, CPU).config
    blank = {"weights_sha256": "", "config_sha256": ""}
    assert loaded.model_copy(update=blank) == config()


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    saved = save(tmp_path / "system", training={"valid_log_loss": float("nan"), "best": float("inf")})
    assert load_checkpoint(saved, CPU).config.training == {"valid_log_loss": None, "best": None}  # JSON has none


def test_a_checkpoint_written_before_an_entry_existed_is_read(saved: Path) -> None:
    content = json.loads((saved / CONFIG).read_text(encoding="utf-8"))
    for entry in ("measured_on", "config_sha256"):
        del content[entry]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (saved / CONFIG).write_text(json.dumps({**content, "config_sha256": digest}), encoding="utf-8")
    assert load_checkpoint(saved, CPU).config.measured_on == "validation"


def test_files_of_a_checkpoint(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [CARD, CONFIG, WEIGHTS]
    assert [path.name for path in saved.parent.iterdir()] == ["system"]
    assert oct(saved.stat().st_mode)[-3:] == "755"


def test_the_card_holds_labels_and_metrics(saved: Path) -> None:
    card = (saved / CARD).read_text(encoding="utf-8")
    assert "forest, kitchen, street café" in card
    for name in ("audio", "video", "fused"):
        assert f"| {name} | 0.500 | 0.750 | 8 |" in card
    assert "- held out: None" in card
    assert "avscene classify VIDEO --system" in card


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    save(tmp_path / "system")
    load_checkpoint(tmp_path / "system", CPU)


@pytest.mark.parametrize("kind", ["folder", "file", "checkpoint"])
def test_an_existing_output_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    directory = tmp_path / "system"
    if kind == "file":
        directory.write_text("mine")
    elif kind == "folder":
        directory.mkdir()
        (directory / "notes.txt").write_text("mine")
    else:
        save(directory)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match="system: already exists"):
        save(directory)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))  # smaller than the weights
    try:
        with pytest.raises(CheckpointError, match=r"system: cannot be written \(File too large\)"):
            save(tmp_path / "system")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_tables_are_written_before_the_directory_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ScoreTable(LABELS, ("a.mp4",), np.array([[0.2, 0.3, 0.5]]))
    made, tables = config(), {"out_of_fold/audio.tsv": table}
    save_checkpoint(tmp_path / "whole", made, tensors(heads()), "", tables)
    assert read_table(tmp_path / "whole" / "out_of_fold" / "audio.tsv").filenames == ("a.mp4",)

    def full(path: Path, table: ScoreTable) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(checkpoint, "write_table", full)
    with pytest.raises(CheckpointError, match=r"system: cannot be written \(No space left on device\)"):
        save_checkpoint(tmp_path / "system", made, tensors(heads()), "", tables)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(tmp_path / "file" / "system")


# Damage


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def edit(old: str, new: str) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        text = (directory / CONFIG).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (directory / CONFIG).write_text(text.replace(old, new), encoding="utf-8")

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of the weights": (lambda path: flip(path / WEIGHTS, -100), rf"{WEIGHTS}: was changed"),
    "a byte of the weights' header": (lambda path: flip(path / WEIGHTS, 20), rf"{WEIGHTS}: was changed"),
    "weights cut short": (
        lambda path: (path / WEIGHTS).write_bytes((path / WEIGHTS).read_bytes()[:-4]),
        rf"{WEIGHTS}: was changed",
    ),
    "no weights": (lambda path: (path / WEIGHTS).unlink(), rf"{WEIGHTS}: cannot be read \(No such file"),
    "no configuration": (lambda path: (path / CONFIG).unlink(), rf"{CONFIG}: cannot be read \(No such file"),
    "a digit of an exponent": (edit('"audio": 0.8125', '"audio": 0.8126'), rf"{CONFIG}: was changed"),
    "a digit of a front end": (edit('"hop_length": 441', '"hop_length": 442'), rf"{CONFIG}: was changed"),
    "a digit of a metric": (edit('"ridge": 0.00003', '"ridge": 0.00004'), rf"{CONFIG}: was changed"),
    "a label": (edit('"kitchen"', '"bedroom"'), rf"{CONFIG}: was changed"),
    "half a configuration": (
        lambda path: (path / CONFIG).write_bytes((path / CONFIG).read_bytes()[:300]),
        rf"{CONFIG}: the file: .*damaged or of another version",
    ),
    "an empty configuration": (lambda path: (path / CONFIG).write_text(""), rf"{CONFIG}: the file: "),
    "no text": (lambda path: (path / CONFIG).write_bytes(b"\xff\xfe{}"), rf"{CONFIG}: the file: "),
    "another version": (edit("avscene-checkpoint/2", "avscene-checkpoint/1"), rf"{CONFIG}: format: .*another version"),
    "an entry gone": (edit('"recipe": "fast",', ""), rf"{CONFIG}: recipe: Field required"),
    "an entry too many": (edit('"recipe": "fast",', '"recipe": "fast", "more": 1,'), rf"{CONFIG}: more: Extra"),
    "a number without end": (
        edit('"recordings": 8', '"recordings": ' + "8" * 5000),
        rf"{CONFIG}: the file: .*out of range",
    ),
    "nothing but brackets": (
        lambda path: (path / CONFIG).write_text('{"training": ' + "[" * 9999),
        rf"{CONFIG}: the file: .*recursion limit",
    ),
    "a front end that cannot be": (edit('"f_max": 20000.0', '"f_max": 30000.0'), r"does not fit 44100 Hz"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_an_error_that_names_the_file(saved: Path, damage: str) -> None:
    change, message = DAMAGE[damage]
    change(saved)
    with pytest.raises(CheckpointError, match=message) as caught:
        pipeline.load(saved, device="cpu", precision="float32")
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    directory = save(tmp_path_factory.mktemp("checkpoint") / "system")
    return directory, load_checkpoint(directory, CPU).config


@settings(max_examples=200)
@given(st.data())
def test_a_changed_byte_of_the_configuration_never_changes_the_system(
    unchanged: tuple[Path, Config], data: st.DataObject
) -> None:
    directory, expected = unchanged
    content = (directory / CONFIG).read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255))
    (directory / CONFIG).write_bytes(content[:position] + bytes([byte]) + content[position + 1 :])
    try:
        message = None
        loaded = load_checkpoint(directory, CPU).config
    except CheckpointError as error:
        message = str(error)
    finally:
        (directory / CONFIG).write_bytes(content)
    assert loaded == expected if message is None else CONFIG in message  # a change of white space is harmless


def test_weights_of_another_checkpoint_are_refused(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    made = config()
    negative = {name: LinearHead(-head.weight, head.bias) for name, head in heads().items()}
    save_checkpoint(other, made, tensors(negative), "")
    (saved / WEIGHTS).write_bytes((other / WEIGHTS).read_bytes())
    with pytest.raises(CheckpointError, match="was changed"):
        load_checkpoint(saved, CPU)


def _without_video() -> dict[str, LinearHead]:
    return {"audio": heads()["audio"]}


def _short_bias() -> dict[str, LinearHead]:
    made = heads()
    return {**made, "video": LinearHead(made["video"].weight, made["video"].bias[:1])}


def _swapped() -> dict[str, LinearHead]:
    made = heads()
    return {"audio": made["video"], "video": made["audio"]}


@pytest.mark.parametrize(
    ("made", "model"),
    [(lambda: heads(scenes=2), "audio"), (_without_video, "video"), (_short_bias, "video"), (_swapped, "audio")],
    ids=["too few scenes", "no head", "a bias of another length", "of another encoder"],
)
def test_heads_that_do_not_fit_are_refused(
    tmp_path: Path, made: Callable[[], dict[str, LinearHead]], model: str
) -> None:
    save_checkpoint(tmp_path / "system", config(), tensors(made()), "")
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS}: the head of model '{model}' is missing or does not fit"):
        load_checkpoint(tmp_path / "system", CPU)


def test_a_checkpoint_of_another_encoder_is_refused(tmp_path: Path) -> None:
    other = AudioHeadPart(name="audio", log_mel=LOG_MEL, image_size=MEL_IMAGE, encoder_sha256="0" * 64)
    save(tmp_path / "system", models=(other, VideoHeadPart(name="video", frames=FRAMES)))
    with pytest.raises(CheckpointError, match="trained on another encoder"):
        load_checkpoint(tmp_path / "system", CPU)


def test_other_labels_than_its_own_are_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"was trained on the scenes forest, kitchen, street café; fix"):
        pipeline.load(saved, labels=["forest", "kitchen"])
    with pytest.raises(CheckpointError, match="was trained on the scenes forest, kitchen, street café"):
        pipeline.load(saved, labels=["kitchen", "forest", "street café"])  # the order is part of it
    assert pipeline.load(saved, labels=list(LABELS)).labels == LABELS


def test_prompts_are_refused(saved: Path) -> None:
    with pytest.raises(UsageError, match="takes no prompts"):
        pipeline.load(saved, prompts=["raw"])


def test_a_directory_that_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a directory but not a checkpoint"):
        pipeline.load(tmp_path)


def test_the_configuration_is_readable_json(saved: Path) -> None:
    content = json.loads((saved / CONFIG).read_text(encoding="utf-8"))
    assert content["labels"] == list(LABELS)
    assert content["fusion"]["rule"] == {"kind": "log-pool", "exponents": EXPONENTS}
    assert content["models"][0]["log_mel"]["n_mels"] == LOG_MEL.n_mels
    assert len(content["weights_sha256"]) == len(content["config_sha256"]) == 64
