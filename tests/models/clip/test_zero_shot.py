"""Test zero-shot classification with small CLIPs from a hub on loopback."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from avscene.errors import UsageError, WeightsError
from avscene.features.frames import frames_to_tensor
from avscene.labels import TAU_SCENES, LabelSet
from avscene.models import inference
from avscene.models.clip.image import ClipImageEncoder
from avscene.models.clip.zero_shot import ClipZeroShot, load_clip
from avscene.models.device import Runtime
from avscene.models.weights.hub import OPEN_CLIP_FILES as FILES
from avscene.models.weights.hub import WEIGHTS_FILE
from avscene.records import ByteArray, FloatArray, Frame, Segment
from tests.support.hub_server import HubServer
from tests.support.small_clip import RN50X4, RN101, SIZE, VIT, as_transformers, config, small_tensors


@pytest.fixture
def altered(clip_server: HubServer, small_vit: Path, tmp_path: Path) -> tuple[Path, HubServer]:
    """A copy of the small ViT for a test to change, then `clip_server.add(VIT, copy)`."""
    return shutil.copytree(small_vit, tmp_path / "altered"), clip_server


def frame(seed: int, side: int = SIZE) -> Frame:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Frame(time=0.0, pixels=pixels)


def segment(*frames: Frame) -> Segment:
    return Segment(0.0, 1.0, frames, waveform=None)


# --- loading ---


def load(
    labels: LabelSet = TAU_SCENES, repo_id: str = VIT, precision: str = "float32", **options: object
) -> ClipZeroShot:
    runtime = Runtime.choose("cpu", precision)
    return ClipZeroShot.load("C03", labels, repo_id=repo_id, runtime=runtime, **options)  # type: ignore[arg-type]


def embed(images: list[ByteArray], precision: str = "float32") -> FloatArray:
    encoder = ClipImageEncoder.load(VIT, Runtime.choose("cpu", precision))
    return encoder.embed([Segment(0, 1, (Frame(0, image),), None) for image in images])


def test_loading_leaves_the_loggers_unchanged(clip_server: HubServer, caplog: pytest.LogCaptureFixture) -> None:
    before = (list(logging.getLogger().handlers), list(logging.getLogger().filters))
    with caplog.at_level(logging.WARNING):
        load()
        assert not caplog.records
        assert logging.getLogger().handlers == before[0]
        logging.getLogger().warning("logged again")
        assert len(caplog.records) == 1
    assert logging.getLogger().filters == before[1]


def test_no_tensor_of_the_model_is_random(clip_server: HubServer, small_vit: Path) -> None:
    loaded = load_clip(VIT, offline=False)
    assert not loaded.training
    state = loaded.state_dict()
    for key, value in small_tensors("vit", seed=1).items():
        assert torch.equal(state.pop(key), value), key
    assert not state


@pytest.mark.parametrize("key", ["visual.proj", "text_projection", "token_embedding.weight", "logit_scale"])
def test_a_missing_tensor_is_refused(altered: tuple[Path, HubServer], key: str) -> None:
    tensors = small_tensors()
    del tensors[key]
    with pytest.raises(WeightsError, match=rf"1 missing \({key}\)"):
        load_altered(altered, tensors)


def test_an_extra_tensor_is_refused(altered: tuple[Path, HubServer]) -> None:
    with pytest.raises(WeightsError, match=r"1 unknown \(visual.head\)"):
        load_altered(altered, small_tensors() | {"visual.head": torch.zeros(2)})


@pytest.mark.parametrize("key", ["visual.positional_embedding", "positional_embedding", "visual.proj"])
def test_a_tensor_of_another_shape_is_refused(altered: tuple[Path, HubServer], key: str) -> None:
    tensors = small_tensors()
    tensors[key] = tensors[key][:-1].contiguous()
    with pytest.raises(WeightsError, match=rf"1 misshapen \({key} \("):
        load_altered(altered, tensors)


def load_altered(altered: tuple[Path, HubServer], tensors: dict[str, torch.Tensor]) -> None:
    directory, clip_server = altered
    save_file(tensors, directory / WEIGHTS_FILE)
    clip_server.add(VIT, directory)
    load()


def test_a_repo_of_pickles_is_refused(altered: tuple[Path, HubServer]) -> None:
    directory, clip_server = altered
    (directory / WEIGHTS_FILE).rename(directory / "open_clip_pytorch_model.bin")
    clip_server.add(VIT, directory)
    with pytest.raises(WeightsError, match=f"{WEIGHTS_FILE}.*not this file"):
        load()
    assert not any("bin" in request for request in clip_server.requests)


def test_a_file_that_is_no_safetensors_is_refused(altered: tuple[Path, HubServer]) -> None:
    directory, clip_server = altered
    (directory / WEIGHTS_FILE).write_bytes(b"PK\x03\x04 a pickle with another suffix")
    clip_server.add(VIT, directory)
    with pytest.raises(WeightsError, match=f"cannot read .*{WEIGHTS_FILE}"):
        load()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("{not json", "is not an open_clip configuration"),
        ("[]", "is not an open_clip configuration"),
        ({"model_cfg": {}}, "is not an open_clip configuration"),
        ({"text_cfg": {"hf_tokenizer_name": "roberta-base"}}, "another tokenizer.*hf_tokenizer_name"),
        ({"text_cfg": {"vocab_size": 64000}}, "another tokenizer.*64000"),
        ({"vision_cfg": {"colour": 3}}, "does not describe a CLIP"),
        ({"vision_cfg": {"layers": 3}}, "12 missing"),
        ({"preprocess_cfg": {"resize_mode": "squash"}}, "frames cannot be prepared"),
        ({"preprocess_cfg": {"interpolation": "nearest"}}, "frames cannot be prepared"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    altered: tuple[Path, HubServer], change: str | dict[str, dict[str, object]], reason: str
) -> None:
    directory, clip_server = altered
    content = config()
    if isinstance(change, dict):
        for key, values in change.items():
            part = content if key.endswith("cfg") and key in content else content["model_cfg"]
            part[key] = part[key] | values if values else values
    (directory / FILES[0]).write_text(change if isinstance(change, str) else json.dumps(content))
    clip_server.add(VIT, directory)
    with pytest.raises(WeightsError, match=reason):
        load()


# --- scoring ---


def test_the_vit_gives_the_probabilities_of_transformers(clip_server: HubServer, small_vit: Path) -> None:
    model = load()
    frames = [frame(seed) for seed in range(5)]
    scores = model.score([segment(one) for one in frames])

    oracle = as_transformers(small_vit)
    prompts = open_clip.tokenize([name.replace("_", " ") for name in TAU_SCENES])
    pixels = frames_to_tensor([one.pixels for one in frames], model.spec)
    with torch.inference_mode():
        output = oracle(input_ids=prompts, pixel_values=pixels)
        expected = (100 * output.image_embeds @ output.text_embeds.T).softmax(dim=-1).numpy()
    np.testing.assert_allclose(scores.probabilities, expected, atol=1e-5)
    assert expected.max() > 0.5  # uniform rows would prove nothing
    assert len(set(expected.argmax(axis=1))) > 1


def test_the_resnet_gives_the_probabilities_of_open_clip(clip_server: HubServer, small_resnet: Path) -> None:
    clip_server.add(RN101, small_resnet)
    model = load(repo_id=RN101)
    frames = [frame(seed, side=2 * SIZE) for seed in range(3)]
    scores = model.score([segment(one) for one in frames])

    oracle, _, _ = open_clip.create_model_and_transforms(f"local-dir:{small_resnet}")
    prompts = open_clip.tokenize([name.replace("_", " ") for name in TAU_SCENES])
    with torch.inference_mode():
        pixels = frames_to_tensor([one.pixels for one in frames], model.spec)
        logits, _ = oracle.eval().get_logits(pixels, prompts)
    np.testing.assert_allclose(scores.probabilities, logits.softmax(dim=-1).numpy(), atol=1e-5)


def test_batch_norms_without_their_count_load(clip_server: HubServer, small_resnet: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(small_resnet, tmp_path / "uncounted")
    tensors = small_tensors("resnet", seed=2)
    counts = [key for key in tensors if key.endswith("num_batches_tracked")]
    assert counts
    save_file({key: tensors[key] for key in tensors if key not in counts}, directory / WEIGHTS_FILE)
    clip_server.add(RN101, directory)
    load(repo_id=RN101)


def test_a_segment_gets_the_mean_over_its_frames(clip_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load()
    alone = model.score([segment(frame(0)), segment(frame(1)), segment(frame(2))]).probabilities
    monkeypatch.setattr(inference, "MAX_ROWS", 2)  # a batch that ends inside a segment
    segments = [segment(), segment(frame(0)), segment(), segment(frame(1), frame(2)), segment()]
    scores = model.score(segments)
    assert scores.scored.tolist() == [False, True, False, True, False]
    np.testing.assert_allclose(scores.probabilities[1], alone[0], atol=1e-6)
    np.testing.assert_allclose(scores.probabilities[3], (alone[1] + alone[2]) / 2, atol=1e-6)
    assert not np.allclose(alone[1], alone[2], atol=1e-3)


def test_nothing_to_score(clip_server: HubServer) -> None:
    model = load()
    assert model.score([]).probabilities.shape == (0, len(TAU_SCENES))
    assert model.score([segment()]).scored.tolist() == [False]


def test_the_labels_are_embedded_once(clip_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    encode = open_clip.CLIP.encode_text

    def spy(self: open_clip.CLIP, text: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        calls.append(len(text))
        return encode(self, text, normalize)

    monkeypatch.setattr(open_clip.CLIP, "encode_text", spy)
    model = load()
    assert calls == [len(TAU_SCENES)]
    for _ in range(2):
        model.score([segment(frame(0))])
    assert len(calls) == 1


def test_the_order_of_the_labels_is_that_of_the_columns(clip_server: HubServer) -> None:
    turned = LabelSet(TAU_SCENES.names[::-1])
    segments = [segment(frame(0)), segment(frame(1))]
    forth, back = load().score(segments), load(turned).score(segments)
    assert back.labels == turned
    np.testing.assert_allclose(back.probabilities, forth.probabilities[:, ::-1], atol=1e-6)


def test_an_underscore_is_replaced_by_a_space(clip_server: HubServer) -> None:
    segments = [segment(frame(0))]
    with_, without = (
        load(LabelSet((name, "park"))).score(segments).probabilities for name in ("metro_station", "metro station")
    )
    np.testing.assert_array_equal(with_, without)


def test_templates_are_averaged_as_unit_vectors(clip_server: HubServer, small_vit: Path) -> None:
    labels = LabelSet(("park", "tram"))
    templates = ("a photo of a {}.", "the sound of {} {in braces}")
    scores = load(labels, templates=templates).score([segment(frame(3))])

    oracle = as_transformers(small_vit)
    texts = [
        ["a photo of a park.", "a photo of a tram."],
        [f"the sound of {n} {{in braces}}" for n in labels],
    ]
    image = torch.from_numpy(embed([frame(3).pixels]))
    with torch.inference_mode():
        features = [oracle.get_text_features(open_clip.tokenize(prompts)) for prompts in texts]
        units = [f if isinstance(f, torch.Tensor) else f.pooler_output for f in features]
        mean = sum(unit / unit.norm(dim=-1, keepdim=True) for unit in units)
        expected = (100 * image @ (mean / mean.norm(dim=-1, keepdim=True)).T).softmax(dim=-1)
    np.testing.assert_allclose(scores.probabilities, expected.numpy(), atol=1e-5)
    assert not np.allclose(scores.probabilities, load(labels).score([segment(frame(3))]).probabilities, atol=1e-3)


@pytest.mark.parametrize("templates", [(), ("a photo",), ("{} and {}",), ("{}", "{name}"), ("{0}",), "{}"[:1]])
def test_a_template_without_one_placeholder_is_refused(clip_server: HubServer, templates: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="template"):
        load(templates=templates)
    assert not clip_server.requests  # before anything is fetched


def test_a_very_long_label_is_cut(clip_server: HubServer) -> None:
    labels = LabelSet(("park " * 100 + "bench", "tram"))
    assert load(labels).score([segment(frame(0))]).scored.all()


def test_frames_are_preprocessed_as_the_weights_specify(altered: tuple[Path, HubServer]) -> None:
    directory, clip_server = altered
    content = config()
    content["preprocess_cfg"] |= {
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "interpolation": "bilinear",
    }
    (directory / FILES[0]).write_text(json.dumps(content))
    clip_server.add(VIT, directory)
    model = load()
    assert (model.spec.mean, model.spec.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (model.spec.size, model.spec.resize, model.spec.interpolation) == (SIZE, SIZE, "bilinear")
    assert (model.frame_size, model.sample_rate, model.needs) == (SIZE, None, "video")


def test_openai_weights_get_their_activation_with_any_config(
    altered: tuple[Path, HubServer],
) -> None:
    directory, clip_server = altered
    segments = [segment(frame(0))]
    expected = load().score(segments).probabilities
    content = config()
    del content["model_cfg"]["quick_gelu"]
    (directory / FILES[0]).write_text(json.dumps(content))
    clip_server.add(RN50X4, directory)
    np.testing.assert_array_equal(load(repo_id=RN50X4).score(segments).probabilities, expected)
    clip_server.add("someone/else", directory)
    other = load(repo_id="someone/else").score(segments).probabilities
    assert not np.allclose(other, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_bfloat16_agrees_with_float32(clip_server: HubServer, small_vit: Path, small_resnet: Path, kind: str) -> None:
    clip_server.add(VIT, small_vit if kind == "vit" else small_resnet)
    images = [frame(seed, side=2 * SIZE).pixels for seed in range(4)]
    exact, fast = embed(images), embed(images, "bfloat16")
    assert (exact * fast).sum(axis=1).min() > 0.999
    assert not np.array_equal(exact, fast)
    assert fast.dtype == np.float32
    scores = load(precision="bfloat16").score([segment(frame(0, side=2 * SIZE))]).probabilities
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


PROGRAM = """
import logging
import numpy as np
from avscene.labels import TAU_SCENES
from avscene.models.clip.zero_shot import ClipZeroShot
from avscene.models.device import Runtime
from avscene.records import ByteArray, FloatArray, Frame, Segment

pixels = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
segments = [Segment(0.0, 1.0, (Frame(0.0, pixels),), None)]
repos = ["resnet101_clip.openai", "resnet50x4_clip.openai", "vit_base_patch32_clip_224.openai"]
for name, repo in zip(["C01", "C02", "C03"], repos):
    model = ClipZeroShot.load(name, TAU_SCENES, repo_id=f"timm/{repo}", runtime=Runtime.choose())
    print(model.name, model.score(segments).probabilities.tolist())
assert not logging.getLogger().handlers
"""


def test_the_three_systems_in_a_fresh_process(
    clip_server: HubServer, small_resnet: Path, small_vit: Path, tmp_path: Path
) -> None:
    """HF_ENDPOINT and HF_HOME come from the environment; the second run has no hub."""
    for repo_id in (RN101, RN50X4):
        clip_server.add(repo_id, small_resnet)

    def run(**extra: str) -> str:
        env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        env |= {"HF_ENDPOINT": clip_server.url, "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=env | extra, capture_output=True, text=True, check=True)
        assert "random" not in done.stderr
        return done.stdout

    first = run()
    assert [line.split()[0] for line in first.splitlines()] == ["C01", "C02", "C03"]
    assert clip_server.requests[f"GET {WEIGHTS_FILE}"] == 3
    clip_server.stop()
    assert run(HF_HUB_OFFLINE="1") == first
