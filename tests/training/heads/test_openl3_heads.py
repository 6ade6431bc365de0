"""Heads on OpenL3 embeddings: the baseline's layers, branches first, and a model that scores what has everything."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load, save
from torch import nn

from avscene.errors import CheckpointError, DataError, ModalityError
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.familiarity.fitting import fit_familiarity
from avscene.fusion.tree import Fusion
from avscene.inference import System
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.familiarity_tensors import familiarity_tensors
from avscene.models.openl3 import encoders as openl3_encoders
from avscene.models.openl3.heads import ENCODERS, OpenL3Branch, OpenL3Fusion, OpenL3HeadModel, OpenL3HeadPart
from avscene.records import Frame, Modality, Needs, Segment
from avscene.training.heads.in_memory import HeadSettings
from avscene.training.heads.openl3_heads import BASELINE, OpenL3Plan, train_openl3_head
from avscene.training.result import TrainedModel
from tests.support.media_files import write_media

LABELS = LabelSet(("bus", "metro", "park", "tram"))
RUNTIME = Runtime(torch.device("cpu"), torch.float32)
KEYS = {"openl3-audio": "audio key", "openl3-image": "image key"}
SIZE = 512
ROWS = 160
TRAIN, VALID = np.arange(0, 96), np.arange(96, ROWS)
TRUTH = np.arange(ROWS) % 4
QUICK = HeadSettings(epochs=4, batch_size=32, learning_rate=1e-3, weight_decay=1e-4, optimiser="adam")


def embeddings() -> dict[str, np.ndarray]:
    """Audio separates the first two scenes from the last two, video the even ones from the odd ones."""
    random = np.random.default_rng(0)

    def of(positive: np.ndarray) -> np.ndarray:
        noise = random.normal(0, 1, (ROWS, SIZE))
        return (3 + np.logspace(-2, 2, SIZE) * (noise + 0.8 * np.where(positive, 1, -1)[:, None])).astype(np.float32)

    return {"openl3-audio": of(TRUTH < 2), "openl3-image": of(TRUTH % 2 == 0)}


def trained(needs: Needs, found: dict[str, np.ndarray] | None = None, **changes: object) -> TrainedModel:
    plan = OpenL3Plan("B", needs, KEYS, QUICK, fusion_epochs=6)
    arguments = {"train_rows": TRAIN, "valid_rows": VALID, "runtime": RUNTIME, "plan": plan} | changes
    return train_openl3_head(embeddings() if found is None else found, TRUTH, labels=LABELS, **arguments)  # type: ignore[arg-type]


class StandIn:
    """An encoder with given embeddings."""

    embedding_size = SIZE
    sample_rate, frame_size = 48_000, 256

    def __init__(self, needs: Modality, key: str, rows: np.ndarray) -> None:
        self.needs = needs
        self.key = key
        self._rows = rows

    def embed(self, segments: Sequence[Segment]) -> np.ndarray:
        present = np.array([segment.has(self.needs) for segment in segments])
        return np.where(present[:, None], self._rows[: len(segments)], np.nan)


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> dict[str, StandIn]:
    rows = embeddings()
    stand_ins = {
        "openl3-audio": StandIn("audio", "audio key", rows["openl3-audio"]),
        "openl3-image": StandIn("video", "image key", rows["openl3-image"]),
    }
    monkeypatch.setattr(openl3_encoders, "load_openl3_encoder", lambda name, _: stand_ins[name])
    return stand_ins


def model(result: TrainedModel) -> OpenL3HeadModel:
    """Return the model as a checkpoint restores it."""
    part = OpenL3HeadPart.model_validate_json(result.part.model_dump_json())
    return part.build(LABELS, load(save(result.tensors)), RUNTIME)


@pytest.fixture(scope="module")
def both() -> TrainedModel:
    return trained("both")


def test_the_layers_are_the_baselines() -> None:
    """512-512-128-64-10, and 256-128-10 over the trunks' 128s; counted by hand."""
    norms = 2 * (512 + 128 + 64)
    branch = (512 * 512 + 512) + (512 * 128 + 128) + (128 * 64 + 64) + (64 * 10 + 10) + norms
    assert sum(parameter.numel() for parameter in OpenL3Branch(10).parameters()) == branch == 338_634
    joint = (256 * 128 + 128) + (128 * 10 + 10)
    fusion = OpenL3Fusion(10)
    assert sum(parameter.numel() for parameter in fusion.joint.parameters()) == joint == 34_186
    kinds = [type(layer) for layer in [*OpenL3Branch(10).trunk.layers, *OpenL3Branch(10).top]]
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    assert kinds == [*block, *block, *block, nn.Linear]


def test_the_settings_are_the_baselines() -> None:
    assert (BASELINE.epochs, BASELINE.batch_size) == (200, 64)
    assert (BASELINE.learning_rate, BASELINE.weight_decay, BASELINE.optimiser) == (1e-4, 1e-4, "adam")
    assert OpenL3Plan("B01", "audio", KEYS).settings == BASELINE


@pytest.mark.usefixtures("encoders")
@pytest.mark.parametrize(("needs", "positive"), [("audio", TRUTH < 2), ("video", TRUTH % 2 == 0)])
def test_one_modality_separates_its_scenes(needs: Needs, positive: np.ndarray) -> None:
    found = embeddings()
    result = trained(needs)
    scores = model(result).score_embeddings([found[name] for name in ENCODERS[needs]]).probabilities
    predicted = scores[:, :2].sum(1) > 0.5 if needs == "audio" else scores[:, ::2].sum(1) > 0.5
    assert (predicted == positive)[VALID].mean() > 0.95
    assert log_loss(TRUTH[VALID], scores[VALID]) == pytest.approx(np.log(2), abs=0.4)


@pytest.mark.usefixtures("encoders")
def test_both_modalities_separate_all_scenes(both: TrainedModel) -> None:
    scores = model(both).score_embeddings(list(embeddings().values())).probabilities
    assert accuracy(TRUTH[VALID], scores[VALID]) > 0.9
    assert log_loss(TRUTH[VALID], scores[VALID]) == pytest.approx(both.details["valid_log_loss"], abs=1e-4)
    assert log_loss(TRUTH[VALID], scores[VALID]) < 0.4
    assert both.details["openl3-audio"]["valid_log_loss"] > 0.4


def test_the_best_epoch_is_kept(both: TrainedModel) -> None:
    losses = [row["valid_log_loss"] for row in both.history]
    assert len(losses) == 6
    assert both.details["valid_log_loss"] == min(losses)
    assert both.details["best_epoch"] == 1 + losses.index(min(losses))


def test_the_branches_are_trained_first_and_then_frozen(both: TrainedModel) -> None:
    alone = trained("audio")
    trunk = {name: tensor for name, tensor in alone.tensors.items() if name.startswith("trunk.")}
    for name, tensor in trunk.items():
        assert torch.equal(both.tensors[name.replace("trunk.", "trunks.0.")], tensor), name


def test_standardised_by_the_training_rows_alone() -> None:
    found = embeddings()
    found["openl3-audio"][:, 0] = 7.0  # a channel that never moves
    result = trained("audio", found)
    train = found["openl3-audio"][TRAIN].astype(float)
    np.testing.assert_allclose(result.tensors["trunk.mean"].numpy(), train.mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result.tensors["trunk.deviation"].numpy()[1:], train.std(0)[1:], rtol=1e-4)
    assert result.tensors["trunk.deviation"][0] == 1


def test_the_same_seed_gives_the_same_head(both: TrainedModel) -> None:
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    again = trained("both")
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in both.tensors.items())
    other = trained("both", plan=OpenL3Plan("B", "both", KEYS, HeadSettings(**_fields(QUICK) | {"seed": 1}), 6))
    assert not torch.equal(other.tensors["joint.1.weight"], both.tensors["joint.1.weight"])


def _fields(settings: HeadSettings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__slots__}


def test_progress_counts_all_epochs() -> None:
    reports: list[tuple[int, int]] = []
    trained("both", progress=lambda done, total: reports.append((done, total)))
    assert reports == [(done, 14) for done in range(1, 15)]


def test_rows_without_an_embedding_are_not_trained_on() -> None:
    found = embeddings()
    missing = np.arange(ROWS) % 5 == 0
    holes = {name: np.where(missing[:, None], np.nan, rows).astype(np.float32) for name, rows in found.items()}
    kept = {"train_rows": TRAIN[~missing[TRAIN]], "valid_rows": VALID[~missing[VALID]]}
    one, other = trained("both", holes), trained("both", found, **kept)
    assert all(torch.equal(one.tensors[name], tensor) for name, tensor in other.tensors.items())


def test_a_branch_learns_from_rows_that_lack_the_other_modality() -> None:
    found = embeddings()
    found["openl3-image"][:60] = np.nan
    joined, alone = trained("both", found), trained("audio", found)
    assert torch.equal(joined.tensors["trunks.0.mean"], alone.tensors["trunk.mean"])


@pytest.mark.parametrize(("rows", "kind"), [(TRAIN, "training"), (VALID, "validation")])
def test_data_without_embeddings_are_refused(rows: np.ndarray, kind: str) -> None:
    found = embeddings()
    found["openl3-image"][rows] = np.nan
    with pytest.raises(DataError, match=f"none of the {len(rows)} {kind} rows has embeddings of openl3-image"):
        trained("both", found)


def test_a_model_of_both_scores_segments_that_have_both(both: TrainedModel, encoders: dict[str, StandIn]) -> None:
    frame, waveform = Frame(0, np.zeros((4, 4, 3), np.uint8)), np.zeros(4)
    segments = [
        Segment(0, 1, (frame,), waveform),
        Segment(1, 2, (), waveform),
        Segment(2, 3, (frame,), None),
        Segment(3, 4, (), None),
    ]
    built = model(both)
    assert (built.needs, built.sample_rate, built.frame_size) == ("both", 48_000, 256)
    scores = built.score(segments)
    assert scores.scored.tolist() == [True, False, False, False]
    stored = built.score_embeddings([encoder.embed(segments) for encoder in encoders.values()])
    np.testing.assert_array_equal(scores.probabilities, stored.probabilities)
    assert built.encoders == ("openl3-audio", "openl3-image")


@pytest.mark.usefixtures("encoders")
def test_a_recording_without_one_modality_is_refused(both: TrainedModel, tmp_path: Path) -> None:
    path = write_media(tmp_path / "audio.wav", 1.0)
    with pytest.raises(ModalityError, match="has audio only; system B needs audio and video"):
        System("B", LABELS, (model(both),), Fusion.of("B")).classify(path)


@pytest.mark.usefixtures("encoders")
def test_a_model_of_one_modality_needs_no_other() -> None:
    built = model(trained("audio"))
    assert (built.needs, built.sample_rate, built.frame_size) == ("audio", 48_000, None)
    video = Segment(0, 1, (Frame(0, np.zeros((4, 4, 3), np.uint8)),), None)
    assert not built.score([video]).scored.any()
    assert not built.score([]).scored.any()


def test_other_weights_of_openl3_are_refused(both: TrainedModel, encoders: dict[str, StandIn]) -> None:
    encoders["openl3-image"].key = "another key"
    with pytest.raises(CheckpointError, match=r"was trained on other weights \(image key\) than those here \(another"):
        model(both)


@pytest.mark.usefixtures("encoders")
@pytest.mark.parametrize("fault", ["missing", "left over", "misshapen"])
def test_tensors_that_do_not_fit_are_refused(both: TrainedModel, fault: str) -> None:
    tensors = dict(both.tensors)
    if fault == "missing":
        del tensors["joint.1.weight"]
    elif fault == "left over":
        tensors["more"] = torch.zeros(1)
    else:
        tensors["joint.1.weight"] = torch.zeros(5, 128)
    with pytest.raises(CheckpointError, match="the head of model 'B' does not fit: 1"):
        both.part.build(LABELS, tensors, RUNTIME)  # type: ignore[union-attr]


@pytest.mark.usefixtures("encoders")
def test_a_familiarity_detector_among_the_tensors_judges_the_embeddings(both: TrainedModel) -> None:
    arrays = list(embeddings().values())
    fitted = fit_familiarity(np.concatenate(arrays, axis=1), TRUTH, [str(row) for row in range(ROWS)], len(LABELS))
    assert fitted is not None
    tensors = both.tensors | familiarity_tensors(fitted.detector)
    with_detector: Any = both.part.build(LABELS, tensors, RUNTIME)
    found = with_detector.score_embeddings(arrays)
    expected = fitted.detector.score(np.concatenate(arrays, axis=1))
    np.testing.assert_allclose(found.familiarity, expected, atol=0.03)
    without = model(both).score_embeddings(arrays)
    assert without.familiarity is None
    np.testing.assert_array_equal(found.probabilities, without.probabilities)
    arrays[0][3] = np.nan
    assert np.isnan(with_detector.score_embeddings(arrays).familiarity[3])
    with pytest.raises(CheckpointError, match="model 'B': projection is not a finite array of shape"):
        both.part.build(LABELS, tensors | {"familiarity.projection": torch.zeros(3, 2)}, RUNTIME)  # type: ignore[union-attr]


def test_a_part_needs_a_key_for_each_encoder() -> None:
    with pytest.raises(ValidationError, match="1 encoder keys do not fit modality both"):
        OpenL3HeadPart(name="B", modality="both", encoder_keys=("one",))
