"""Test ensembles as checkpoints: self-contained, loaded by path alone, every change to their files noticed."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from avscene import inference as pipeline
from avscene.errors import CheckpointError
from avscene.features.logmel import LogMelSpec
from avscene.fusion.tree import Fusion, Layout, fit_fusion
from avscene.labels import LabelSet
from avscene.media.segments import Recording
from avscene.models import ensemble_checkpoint
from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS, Config, Part, load_checkpoint, save_checkpoint
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.backbones import blank_backbone
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import FRAMES
from avscene.models.ensemble_checkpoint import member_checksums, save_ensemble
from avscene.models.fusion_network import FusionNetwork, FusionNetworkPart
from avscene.models.linear_heads import VideoEncoder, VideoHeadPart
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable
from avscene.training.card import model_card
from tests.support.media_files import write_media

CPU = Runtime.choose("cpu", "float32")
LABELS = LabelSet(("forest", "kitchen", "street"))
LITE0 = "tf_efficientnet_lite0"
MEL = LogMelSpec(sample_rate=48_000, n_fft=1024, hop_length=512, n_mels=32, f_min=0.0, f_max=24_000.0)
A04 = Layout(name="A04", members=("A01", "V01"), rule="classwise")
E01 = Layout(name="E01", members=(A04, "C04"), rule="classwise")
E02 = Layout(name="E02", members=(E01,), postprocess=("vector",))
LAYOUTS = {"A04": A04, "E01": E01, "E02": E02}
MEMBERS = {"A04": ("A01", "V01"), "E01": ("A04", "C04"), "E02": ("E01",)}


def state(network: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    """Small numbers for every tensor of a network that may have none yet."""
    random = torch.Generator().manual_seed(seed)
    return {
        name: torch.ones(tensor.shape)
        if name.endswith("running_var")
        else 0.05 * torch.randn(tensor.shape, generator=random)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def parts() -> dict[str, tuple[Part, dict[str, Tensor]]]:
    """A model of each kind that needs no download; A01 needs audio, V01 and C04 need video."""
    backbone = state(blank_backbone(LITE0, len(LABELS)), 1)
    audio_tensors = {f"backbone.{name}": tensor for name, tensor in backbone.items()}
    audio_tensors |= {"mean": torch.full((32,), -40.0), "deviation": torch.full((32,), 20.0)}
    encoder = VideoEncoder(FRAMES, CPU)
    late = FusionNetworkPart(
        name="C04", encoders=("efficientnet-lite0",), sizes=(encoder.embedding_size,), encoder_keys=(encoder.key,)
    )
    return {
        "A01": (AudioCnnPart(name="A01", backbone=LITE0, log_mel=MEL), audio_tensors),
        "V01": (FrameCnnPart(name="V01", backbone=LITE0, frames=FRAMES), state(blank_backbone(LITE0, 3), 2)),
        "C04": (late, state(FusionNetwork(late.sizes, len(LABELS)), 3)),
    }


def config(name: str, **changes: object) -> Config:
    given: dict[str, object] = {
        "name": name,
        "recipe": name,
        "labels": LABELS.names,
        "hop": 1.0,
        "fusion": Fusion.of(name),
        "training": {"data": "meta.csv", "held_out": "fold=5", "segments": {"train": 60, "validation": 20}},
        "metrics": {"validation": {"log_loss": 0.25, "accuracy": 0.75, "n": 20}},
        "versions": {"avscene": "0.1.0"},
    }
    return Config(**{**given, **changes})


def save_model(directory: Path, part: Part, tensors: dict[str, Tensor], **changes: object) -> Path:
    made = config(part.name, models=(part,), **changes)
    save_checkpoint(directory, made, {part.name: tensors}, model_card(made))
    return directory


def fitted() -> dict[str, Fusion]:
    """The ensembles' fusions, fitted on made-up scores, each over its own members by name."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 200)
    drawn = {name: random.normal(0, 1, (200, 3)) + np.eye(3)[truth] for name in ("A01", "V01", "C04")}
    scores = {name: np.exp(values) / np.exp(values).sum(1, keepdims=True) for name, values in drawn.items()}
    return {name: fit_fusion(layout, scores, truth, LABELS) for name, layout in LAYOUTS.items()}


def save_system(root: Path, name: str, fusions: dict[str, Fusion], sources: dict[str, Path]) -> Path:
    members = {member: sources[member] for member in MEMBERS[name]}
    top = fusions[name].model_copy(update={"members": MEMBERS[name]})
    made = config(name, fusion=top, members=member_checksums(members))
    save_ensemble(root / name, made, members, model_card(made))
    return root / name


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of three models and of the ensembles A04, E01 and E02 on top of each other."""
    root = tmp_path_factory.mktemp("systems")
    sources = {name: save_model(root / name, part, tensors) for name, (part, tensors) in parts().items()}
    fusions = fitted()
    for name in MEMBERS:
        sources[name] = save_system(root, name, fusions, sources)
    return sources


@pytest.fixture
def sources(origin: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Return copies for a test to damage: replace files (they are hard links), never write into them."""
    systems = tmp_path / "systems"
    return {name: Path(shutil.copytree(path, systems / name, copy_function=os.link)) for name, path in origin.items()}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("recording") / "recording.mp4", 3.0, fps=8)


# --- loading ---


def test_an_ensemble_predicts_what_its_models_and_its_fusion_predict(origin: dict[str, Path], recording: Path) -> None:
    system = pipeline.load(origin["E02"], device="cpu", precision="float32")
    assert (system.name, system.labels, system.hop) == ("E02", LABELS, 1.0)
    assert [model.name for model in system.models] == ["A01", "V01", "C04"]
    with Recording(recording) as opened:
        segments = list(opened.segments(system.sampling(1.0)))
    scores = {
        name: load_checkpoint(origin[name], CPU).models[0].score(segments).probabilities
        for name in ("A01", "V01", "C04")
    }
    expected = fitted()["E02"].apply(scores, LABELS)
    prediction = system.classify(recording)
    assert len(prediction.segments) == 3
    for row, segment in enumerate(prediction.segments):
        np.testing.assert_allclose(segment.probabilities, expected[row], atol=1e-5)
        assert list(segment.by_model) == ["A01", "V01", "C04"]
        for name, values in segment.by_model.items():
            np.testing.assert_allclose(values, scores[name][row], atol=1e-5)
    assert np.ptp(expected, axis=1).min() > 0.01  # else this would prove nothing


def test_a_recording_without_audio_is_classified_by_the_other_models(origin: dict[str, Path], tmp_path: Path) -> None:
    without_audio = write_media(tmp_path / "without_audio.mp4", 2.0, audio=False)
    prediction = pipeline.load(origin["E02"], device="cpu", precision="float32").classify(without_audio)
    assert prediction.warnings == ("no audio track: model `A01` was skipped",)
    e01 = fitted()["E01"]
    for segment in prediction.segments:
        scores = {name: values[None] for name, values in segment.by_model.items()} | {"A01": np.full((1, 3), np.nan)}
        np.testing.assert_allclose(segment.probabilities, e01.apply(scores, LABELS)[0], atol=1e-9)


def test_an_ensemble_needs_its_sources_no_longer_and_can_be_moved(
    sources: dict[str, Path], origin: dict[str, Path], recording: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "far" / "renamed"
    elsewhere.parent.mkdir()
    sources["E02"].rename(elsewhere)
    for name in set(sources) - {"E02"}:
        shutil.rmtree(sources[name])
    moved, kept = (pipeline.load(path, device="cpu", precision="float32") for path in (elsewhere, origin["E02"]))
    assert moved.classify(recording).to_dict() == kept.classify(recording).to_dict()


def test_models_with_one_encoder_share_its_weights(sources: dict[str, Path], tmp_path: Path) -> None:
    part = parts()["C04"]
    head = VideoHeadPart(name="video", frames=FRAMES)
    tensors = {"weight": torch.zeros(1984, 3), "bias": torch.zeros(3)}
    video = save_model(tmp_path / "video", head, tensors)
    members = {"C04": sources["C04"], "video": video}
    both = config("both", fusion=fit_fusion_of(members), members=member_checksums(members))
    save_ensemble(tmp_path / "both", both, members, "")
    late, frozen = load_checkpoint(tmp_path / "both", CPU).models
    assert late._encoders[0]._network is frozen.encoder._network
    assert part[0].name == late.name


def fit_fusion_of(members: dict[str, Path]) -> Fusion:
    return fit_fusion(
        Layout(name="both", members=tuple(members), rule="mean"),
        {name: np.full((2, 3), 1 / 3) for name in members},
        np.array([0, 1]),
        LABELS,
    )


def test_a_member_has_the_name_that_the_ensemble_gives_it(sources: dict[str, Path], tmp_path: Path) -> None:
    members = {"audio": sources["A04"], "video": sources["C04"]}
    fusion = fit_fusion_of(members).model_copy(update={"name": "mine"})
    save_ensemble(tmp_path / "mine", config("mine", fusion=fusion, members=member_checksums(members)), members, "")
    loaded = load_checkpoint(tmp_path / "mine", CPU)
    assert [model.name for model in loaded.models] == ["A01", "V01", "C04"]
    assert [member.name for member in loaded.fusion.members] == ["audio", "video"]
    scores = {model.name: np.array([[0.2, 0.3, 0.5]]) for model in loaded.models}
    expected = (fitted()["A04"].apply(scores, LABELS) + scores["C04"]) / 2
    np.testing.assert_allclose(loaded.fusion.apply(scores, LABELS), expected)


# --- writing ---


def test_files_of_an_ensemble(origin: dict[str, Path]) -> None:
    found = sorted(path.relative_to(origin["E01"]).as_posix() for path in origin["E01"].rglob("*") if path.is_file())
    folders = ("", "A04/", "A04/A01/", "A04/V01/", "C04/")
    assert found == sorted(f"{folder}{name}" for folder in folders for name in (CARD, CONFIG, WEIGHTS))
    assert sorted(path.name for path in origin["E01"].parent.iterdir()) == sorted(origin)
    assert oct(origin["E01"].stat().st_mode)[-3:] == "755"


def test_weights_are_on_the_disk_once(origin: dict[str, Path]) -> None:
    assert (origin["A01"] / WEIGHTS).samefile(origin["E02"] / "E01" / "A04" / "A01" / WEIGHTS)
    assert (origin["C04"] / WEIGHTS).stat().st_nlink >= 3  # its own, and those in E01 and E02


def test_weights_are_copied_where_there_are_no_links(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(ensemble_checkpoint.os, "link", refuse)
    made = save_system(tmp_path / "copied", "A04", fitted(), sources)
    copied = made / "A01" / WEIGHTS
    assert copied.read_bytes() == (sources["A01"] / WEIGHTS).read_bytes()
    assert not copied.samefile(sources["A01"] / WEIGHTS)
    assert len(load_checkpoint(made, CPU).models) == 2


def test_other_files_beside_a_checkpoint_are_not_copied(sources: dict[str, Path], tmp_path: Path) -> None:
    (sources["A01"] / "events.log").write_text("mine")
    made = save_system(tmp_path / "new", "A04", fitted(), sources)
    assert sorted(path.name for path in (made / "A01").iterdir()) == [CARD, CONFIG, WEIGHTS]


def test_tables_are_kept_inside(sources: dict[str, Path], tmp_path: Path) -> None:
    members = {"A04": sources["A04"], "C04": sources["C04"]}
    table = ScoreTable(LABELS, ("a.mp4",), np.array([[0.2, 0.3, 0.5]]), truth=("street",))
    made = config("both", fusion=fit_fusion_of(members), members=member_checksums(members))
    save_ensemble(tmp_path / "both", made, members, "", {"validation.tsv": table})
    assert read_table(tmp_path / "both" / "validation.tsv").truth == ("street",)


def test_an_existing_checkpoint_is_not_overwritten(sources: dict[str, Path], tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in sources["A04"].rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match="A04: already exists; try: --overwrite"):
        save_system(sources["A04"].parent, "A04", fitted(), sources)
    assert {path: path.read_bytes() for path in sources["A04"].rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / WEIGHTS).unlink(), rf"A01/{WEIGHTS}: is missing or was changed"),
        (lambda path: flip(path / WEIGHTS, -50), rf"A01/{WEIGHTS}: is missing or was changed"),
        (lambda path: flip(path / CONFIG, 200), rf"A01/{CONFIG}: "),
    ],
    ids=["no weights", "a byte of the weights", "a byte of the configuration"],
)
def test_a_damaged_member_is_not_put_in(
    sources: dict[str, Path], tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    fusions = fitted()
    members = {name: sources[name] for name in MEMBERS["A04"]}
    top = fusions["A04"].model_copy(update={"members": MEMBERS["A04"]})
    made = config("A04", fusion=top, members=member_checksums(members))
    spoil(sources["A01"])
    with pytest.raises(CheckpointError, match=message):
        save_ensemble(tmp_path / "new" / "A04", made, members, "")
    assert not (tmp_path / "new").exists() or list((tmp_path / "new").iterdir()) == []


def test_a_member_that_was_trained_again_is_not_put_in(sources: dict[str, Path], tmp_path: Path) -> None:
    made = fitted()["A04"].model_copy(update={"members": MEMBERS["A04"]})
    members = {name: sources[name] for name in MEMBERS["A04"]}
    kept = config("A04", fusion=made, members=member_checksums(members))
    part, tensors = parts()["A01"]
    members["A01"] = save_model(tmp_path / "again", part, {**tensors, "mean": tensors["mean"] - 1})
    with pytest.raises(CheckpointError, match=r"again: is not the member A01 that A04 was made with"):
        save_ensemble(tmp_path / "new" / "A04", kept, members, "")


@pytest.mark.parametrize("changes", [{"labels": ("forest", "kitchen", "tram")}, {"hop": 0.5}])
def test_members_of_other_scenes_or_another_hop_are_refused(
    sources: dict[str, Path], tmp_path: Path, changes: dict[str, object]
) -> None:
    part, tensors = parts()["C04"]
    members = {"V01": sources["V01"], "C04": save_model(tmp_path / "other", part, tensors, **changes)}
    made = config("both", fusion=fit_fusion_of(members), members=member_checksums(members))
    with pytest.raises(CheckpointError, match="other: has other scenes, another hop or other frames than both"):
        save_ensemble(tmp_path / "both", made, members, "")


def write_until_killed(target: Path, sources: dict[str, Path], links: int) -> int:
    """Write A04 in a process of its own that is killed after so many links; how it ended."""
    link, linked = ensemble_checkpoint._link, []

    def watched(*paths: Path) -> None:
        link(*paths)
        linked.append(paths)
        if len(linked) == links:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            ensemble_checkpoint._link = watched
            save_system(target, "A04", fitted(), sources)
            os._exit(0)
        finally:
            os._exit(1)  # never back into pytest
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("links", [1, 4, 99])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning", "ignore:lance is not fork-safe")
def test_a_killed_writer_leaves_a_whole_ensemble_or_none(sources: dict[str, Path], tmp_path: Path, links: int) -> None:
    ended = write_until_killed(tmp_path / "written", sources, links)
    killed = links < 6  # files of the two members
    assert ended == (-signal.SIGKILL if killed else 0)
    assert (tmp_path / "written" / "A04").exists() != killed
    if killed:
        save_system(tmp_path / "written", "A04", fitted(), sources)  # temporary files left over do not prevent it
    assert len(load_checkpoint(tmp_path / "written" / "A04", CPU).models) == 2


# --- damage ---


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.unlink()
    path.write_bytes(content)


def swap(path: Path) -> None:
    """An intact checkpoint of the same shape instead of the member."""
    part, tensors = parts()["A01"]
    shutil.rmtree(path)
    save_model(path, part, {**tensors, "mean": tensors["mean"] - 1})


INNER = Path("E01", "A04", "A01")
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of a member's weights": (lambda path: flip(path / INNER / WEIGHTS, -50), rf"A01/{WEIGHTS}: was changed"),
    "a digit of a member's configuration": (lambda path: flip(path / INNER / CONFIG, 200), rf"A01/{CONFIG}: "),
    "no member": (lambda path: shutil.rmtree(path / INNER), rf"A01/{CONFIG}: cannot be read \(No such file"),
    "no inner ensemble": (lambda path: shutil.rmtree(path / "E01"), rf"E01/{CONFIG}: cannot be read"),
    "a file for a member": (
        lambda path: (shutil.rmtree(path / INNER), (path / INNER).write_text("")),
        rf"A01/{CONFIG}: cannot be read \(Not a directory",
    ),
    "another member in its place": (
        lambda path: swap(path / INNER),
        r"A01: is not the member A01 that A04 was made with",
    ),
    "a weight of the fusion": (lambda path: edit(path / CONFIG, '"scale"'), rf"{CONFIG}: was changed"),
    "weights of its own": (lambda path: flip(path / WEIGHTS, 3), rf"E02/{WEIGHTS}: was changed"),
    "no weights of its own": (lambda path: (path / WEIGHTS).unlink(), rf"E02/{WEIGHTS}: cannot be read"),
}


def edit(path: Path, after: str) -> None:
    """Change the first decimal of the first number after some text."""
    text = path.read_text(encoding="utf-8")
    position = text.index(".", text.index(after)) + 1
    path.unlink()
    path.write_text(text[:position] + str((int(text[position]) + 1) % 10) + text[position + 1 :], encoding="utf-8")


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_reported_with_the_name_of_the_file(sources: dict[str, Path], damage: str) -> None:
    change, message = DAMAGE[damage]
    change(sources["E02"])
    with pytest.raises(CheckpointError, match=message) as caught:
        pipeline.load(sources["E02"], device="cpu", precision="float32")
    assert str(sources["E02"]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_members_with_one_name_of_a_model_are_refused(sources: dict[str, Path], tmp_path: Path) -> None:
    members = {"one": sources["A04"], "two": sources["A01"]}
    made = config("both", fusion=fit_fusion_of(members), members=member_checksums(members))
    save_ensemble(tmp_path / "both", made, members, "")
    with pytest.raises(CheckpointError, match=r"both/config.json: two of its members have a model 'A01'"):
        load_checkpoint(tmp_path / "both", CPU)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": {"A01": "0" * 64}}, "fusion of mine does not fit models A01"),
        ({}, "fusion of mine does not fit models "),
        ({"members": {"../mine": "0" * 64}}, "does not fit"),
        ({"members": {"mine": ""}, "labels": ("a", "a")}, "label 'a' is given twice"),
    ],
)
def test_a_configuration_that_does_not_fit_together_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config("mine", **changes)
