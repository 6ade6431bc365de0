"""CLIP zero-shot and the fetching of its weights, against small CLIPs and a hub on loopback."""

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants, file_download
from safetensors.torch import save_file

from avscene.errors import UsageError, WeightsError
from avscene.features.frames import frames_to_tensor
from avscene.labels import TAU_SCENES, LabelSet
from avscene.models import inference
from avscene.models.clip.image import ClipImageEncoder
from avscene.models.clip.zero_shot import ClipZeroShot, load_clip
from avscene.models.device import Runtime
from avscene.models.weights import hub
from avscene.models.weights.hub import OPEN_CLIP_FILES as FILES
from avscene.models.weights.hub import WEIGHTS_FILE
from avscene.records import ByteArray, FloatArray, Frame, Segment
from tests.support.hub_server import COMMIT, HubServer
from tests.support.small_clip import SIZE, as_transformers, config, save_small_clip, small_tensors

VIT = "timm/vit_base_patch32_clip_224.openai"
RN101 = "timm/resnet101_clip.openai"
RN50X4 = "timm/resnet50x4_clip.openai"


@pytest.fixture(scope="session")
def small_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clip(tmp_path_factory.mktemp("vit"), "vit", seed=1)


@pytest.fixture(scope="session")
def small_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clip(tmp_path_factory.mktemp("resnet"), "resnet", seed=2)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(directory))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return directory


@pytest.fixture
def server(cache: Path, small_vit: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as running:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, running.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        running.add(VIT, small_vit)
        yield running


@pytest.fixture
def altered(server: HubServer, small_vit: Path, tmp_path: Path) -> tuple[Path, HubServer]:
    """A copy of the small ViT for a test to change, then `server.add(VIT, copy)`."""
    return shutil.copytree(small_vit, tmp_path / "altered"), server


def frame(seed: int, side: int = SIZE) -> Frame:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Frame(time=0.0, pixels=pixels)


def segment(*frames: Frame) -> Segment:
    return Segment(0.0, 1.0, frames, waveform=None)


def refusal(repo_id: str = VIT, files: tuple[str, ...] = FILES, *, offline: bool = False) -> str:
    """The message with which `fetch` refuses: one line that names the repo."""
    with pytest.raises(WeightsError) as caught:
        hub.fetch(repo_id, files, offline=offline)
    message = str(caught.value)
    assert message.startswith(f"{repo_id}: ")
    assert "\n" not in message
    return message


# --- fetching ---


def test_fetch_brings_the_files_once_then_asks_the_hub_for_nothing(server: HubServer, small_vit: Path) -> None:
    assert not hub.is_cached(VIT, FILES)
    snapshot = hub.fetch(VIT, FILES, offline=False)
    assert snapshot.name == COMMIT
    for name in FILES:
        assert (snapshot / name).read_bytes() == (small_vit / name).read_bytes()
    assert server.requests[f"GET {WEIGHTS_FILE}"] == 1
    assert hub.is_cached(VIT, FILES)

    server.requests.clear()
    assert hub.fetch(VIT, FILES, offline=False) == snapshot
    assert not server.requests
    server.stop()
    assert hub.fetch(VIT, FILES, offline=True) == snapshot


def test_only_the_file_that_is_absent_is_fetched(server: HubServer) -> None:
    hub.fetch(VIT, FILES[:1], offline=False)
    assert not hub.is_cached(VIT, FILES)
    message = refusal(offline=True)
    assert f": {WEIGHTS_FILE} is not in" in message
    hub.fetch(VIT, FILES, offline=False)
    assert server.requests[f"GET {FILES[0]}"] == 1


def test_offline_without_a_cached_file_says_how_to_get_it(server: HubServer, cache: Path) -> None:
    message = refusal(offline=True)
    assert WEIGHTS_FILE in message
    assert str(cache) in message
    assert "run once without --offline" in message
    assert not server.requests


def test_hf_hub_offline_is_honoured(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "--offline or HF_HUB_OFFLINE is set" in refusal()
    assert not hub.can_fetch(VIT, FILES)
    assert not server.requests


def test_an_unreachable_hub_is_told_at_once(server: HubServer) -> None:
    server.stop()
    began = time.monotonic()
    message = refusal()
    assert time.monotonic() - began < 5
    assert "cannot be reached" in message
    assert "set HF_ENDPOINT" in message


def test_a_hub_that_trickles_is_given_up(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "FIRST_ANSWER_SECONDS", 0.2)
    server.fault = "trickle"
    began = time.monotonic()
    assert "cannot be reached" in refusal()
    assert not hub.can_fetch(VIT, FILES, timeout=0.2)
    assert time.monotonic() - began < 3  # of the 4 s that each answer would take


def test_all_files_are_of_one_commit(server: HubServer) -> None:
    server.fault = "moving"
    snapshot = hub.fetch(VIT, FILES, offline=False)
    assert snapshot.name == COMMIT
    assert all((snapshot / name).is_file() for name in FILES)


def test_a_hub_that_breaks_after_the_first_look(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    monkeypatch.setattr(hub, "_check_hub", lambda *_: None)
    server.fault = "http-500"
    assert "HTTP 500" in refusal()


def test_can_fetch(server: HubServer) -> None:
    assert hub.can_fetch(VIT, FILES)
    assert not any(request.startswith("GET") for request in server.requests)
    assert not hub.can_fetch(VIT, ["no.safetensors"])
    assert not hub.can_fetch("nobody/nothing", FILES)
    assert not hub.can_fetch("not a repository name", FILES)
    server.fault = "portal"
    assert not hub.can_fetch(VIT, FILES)
    server.stop()
    assert not hub.can_fetch(VIT, FILES)


@pytest.mark.parametrize(
    ("repo_id", "files", "reason"),
    [
        ("nobody/nothing", FILES, "has no such repository"),
        (VIT, ("no.safetensors",), "has the repository but not this file"),
        ("a/b/c", FILES, "not a repository name"),
        (VIT, ("open_clip_pytorch_model.bin",), "only safetensors and JSON"),
    ],
)
def test_what_the_hub_does_not_have(server: HubServer, repo_id: str, files: tuple[str, ...], reason: str) -> None:
    message = refusal(repo_id, files)
    assert reason in message
    assert files[-1] in message


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("http-500", "HTTP 500"),
        ("portal", "is not that of a hub"),
        ("cut", "the connection was lost"),
        ("short", "the connection was lost"),
    ],
)
def test_a_hub_that_breaks(server: HubServer, fault: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    server.fault = fault  # type: ignore[assignment]
    assert reason in refusal()
    assert not hub.is_cached(VIT, FILES)
    server.fault = None
    hub.fetch(VIT, FILES, offline=False)


def test_a_transfer_that_is_cut_is_taken_up_again(server: HubServer) -> None:
    server.fault = "cut-once"
    hub.fetch(VIT, FILES, offline=False)
    assert server.requests[f"GET {WEIGHTS_FILE}"] == 2


def test_damage_on_the_way_is_seen_and_can_be_mended(server: HubServer) -> None:
    server.fault = "damaged"
    message = refusal()
    assert f"{WEIGHTS_FILE} is damaged" in message
    server.fault = None
    assert "damaged" in refusal(offline=True)  # on every later look, too
    blob = message.split("delete ")[1].removesuffix(" and run again")
    Path(blob).unlink()
    hub.fetch(VIT, FILES, offline=False)


def test_a_truncated_blob_is_seen(server: HubServer) -> None:
    weights = (hub.fetch(VIT, FILES, offline=False) / WEIGHTS_FILE).resolve()
    os.truncate(weights, weights.stat().st_size - 1)
    assert str(weights) in refusal(offline=True)


@pytest.mark.parametrize(
    ("code", "reason", "then"),
    [
        (errno.ENOSPC, "no space left", "set HF_HOME to another disk"),
        (errno.EACCES, "cannot be written", "set HF_HOME to a writable directory"),
    ],
)
def test_a_disk_that_takes_no_file(
    server: HubServer, code: int, reason: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> str:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    message = refusal()
    assert reason in message
    assert then in message


# --- loading ---


def load(
    labels: LabelSet = TAU_SCENES, repo_id: str = VIT, precision: str = "float32", **options: object
) -> ClipZeroShot:
    runtime = Runtime.choose("cpu", precision)
    return ClipZeroShot.load("C03", labels, repo_id=repo_id, runtime=runtime, **options)  # type: ignore[arg-type]


def embed(images: list[ByteArray], precision: str = "float32") -> FloatArray:
    encoder = ClipImageEncoder.load(VIT, Runtime.choose("cpu", precision))
    return encoder.embed([Segment(0, 1, (Frame(0, image),), None) for image in images])


def test_loading_leaves_the_loggers_alone_and_says_nothing(server: HubServer, caplog: pytest.LogCaptureFixture) -> None:
    before = (list(logging.getLogger().handlers), list(logging.getLogger().filters))
    with caplog.at_level(logging.WARNING):
        load()
        assert not caplog.records
        assert logging.getLogger().handlers == before[0]
        logging.getLogger().warning("heard again")
        assert len(caplog.records) == 1
    assert logging.getLogger().filters == before[1]


def test_no_tensor_of_the_model_is_random(server: HubServer, small_vit: Path) -> None:
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
    directory, server = altered
    save_file(tensors, directory / WEIGHTS_FILE)
    server.add(VIT, directory)
    load()


def test_a_repo_of_pickles_is_refused(altered: tuple[Path, HubServer]) -> None:
    directory, server = altered
    (directory / WEIGHTS_FILE).rename(directory / "open_clip_pytorch_model.bin")
    server.add(VIT, directory)
    with pytest.raises(WeightsError, match=f"{WEIGHTS_FILE}.*not this file"):
        load()
    assert not any("bin" in request for request in server.requests)


def test_a_file_that_is_no_safetensors_is_refused(altered: tuple[Path, HubServer]) -> None:
    directory, server = altered
    (directory / WEIGHTS_FILE).write_bytes(b"PK\x03\x04 a pickle under another name")
    server.add(VIT, directory)
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
    directory, server = altered
    content = config()
    if isinstance(change, dict):
        for key, values in change.items():
            part = content if key.endswith("cfg") and key in content else content["model_cfg"]
            part[key] = part[key] | values if values else values
    (directory / FILES[0]).write_text(change if isinstance(change, str) else json.dumps(content))
    server.add(VIT, directory)
    with pytest.raises(WeightsError, match=reason):
        load()


# --- scoring ---


def test_probabilities_are_those_of_transformers(server: HubServer, small_vit: Path) -> None:
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
    assert expected.max() > 0.5  # the comparison is not one of uniform rows
    assert len(set(expected.argmax(axis=1))) > 1


def test_the_resnet_tower_gives_what_open_clip_gives(server: HubServer, small_resnet: Path) -> None:
    server.add(RN101, small_resnet)
    model = load(repo_id=RN101)
    frames = [frame(seed, side=2 * SIZE) for seed in range(3)]
    scores = model.score([segment(one) for one in frames])

    oracle, _, _ = open_clip.create_model_and_transforms(f"local-dir:{small_resnet}")
    prompts = open_clip.tokenize([name.replace("_", " ") for name in TAU_SCENES])
    with torch.inference_mode():
        pixels = frames_to_tensor([one.pixels for one in frames], model.spec)
        logits, _ = oracle.eval().get_logits(pixels, prompts)
    np.testing.assert_allclose(scores.probabilities, logits.softmax(dim=-1).numpy(), atol=1e-5)


def test_batch_norms_without_their_count_load(server: HubServer, small_resnet: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(small_resnet, tmp_path / "uncounted")
    tensors = small_tensors("resnet", seed=2)
    counts = [key for key in tensors if key.endswith("num_batches_tracked")]
    assert counts
    save_file({key: tensors[key] for key in tensors if key not in counts}, directory / WEIGHTS_FILE)
    server.add(RN101, directory)
    load(repo_id=RN101)


def test_one_segment_is_the_mean_over_its_frames(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load()
    alone = model.score([segment(frame(0)), segment(frame(1)), segment(frame(2))]).probabilities
    monkeypatch.setattr(inference, "MAX_ROWS", 2)  # a batch that ends inside a segment
    segments = [segment(), segment(frame(0)), segment(), segment(frame(1), frame(2)), segment()]
    scores = model.score(segments)
    assert scores.scored.tolist() == [False, True, False, True, False]
    np.testing.assert_allclose(scores.probabilities[1], alone[0], atol=1e-6)
    np.testing.assert_allclose(scores.probabilities[3], (alone[1] + alone[2]) / 2, atol=1e-6)
    assert not np.allclose(alone[1], alone[2], atol=1e-3)


def test_nothing_to_score(server: HubServer) -> None:
    model = load()
    assert model.score([]).probabilities.shape == (0, len(TAU_SCENES))
    assert model.score([segment()]).scored.tolist() == [False]


def test_the_labels_are_read_once(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_order_of_the_labels_is_that_of_the_columns(server: HubServer) -> None:
    turned = LabelSet(TAU_SCENES.names[::-1])
    segments = [segment(frame(0)), segment(frame(1))]
    forth, back = load().score(segments), load(turned).score(segments)
    assert back.labels == turned
    np.testing.assert_allclose(back.probabilities, forth.probabilities[:, ::-1], atol=1e-6)


def test_an_underscore_reads_as_a_space(server: HubServer) -> None:
    segments = [segment(frame(0))]
    with_, without = (
        load(LabelSet((name, "park"))).score(segments).probabilities for name in ("metro_station", "metro station")
    )
    np.testing.assert_array_equal(with_, without)


def test_templates_are_averaged_as_unit_vectors(server: HubServer, small_vit: Path) -> None:
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
def test_a_template_without_one_place_for_the_name_is_refused(server: HubServer, templates: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="template"):
        load(templates=templates)
    assert not server.requests  # before anything is fetched


def test_a_very_long_label_is_cut(server: HubServer) -> None:
    labels = LabelSet(("park " * 100 + "bench", "tram"))
    assert load(labels).score([segment(frame(0))]).scored.all()


def test_the_preprocessing_is_that_of_the_weights(altered: tuple[Path, HubServer]) -> None:
    directory, server = altered
    content = config()
    content["preprocess_cfg"] |= {
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "interpolation": "bilinear",
    }
    (directory / FILES[0]).write_text(json.dumps(content))
    server.add(VIT, directory)
    model = load()
    assert (model.spec.mean, model.spec.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (model.spec.size, model.spec.resize, model.spec.interpolation) == (SIZE, SIZE, "bilinear")
    assert (model.frame_size, model.sample_rate, model.needs) == (SIZE, None, "video")


def test_openai_weights_get_their_activation_whatever_the_config_says(
    altered: tuple[Path, HubServer],
) -> None:
    directory, server = altered
    segments = [segment(frame(0))]
    expected = load().score(segments).probabilities
    content = config()
    del content["model_cfg"]["quick_gelu"]
    (directory / FILES[0]).write_text(json.dumps(content))
    server.add(RN50X4, directory)
    np.testing.assert_array_equal(load(repo_id=RN50X4).score(segments).probabilities, expected)
    server.add("someone/else", directory)
    other = load(repo_id="someone/else").score(segments).probabilities
    assert not np.allclose(other, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_bfloat16_agrees_with_float32(server: HubServer, small_vit: Path, small_resnet: Path, kind: str) -> None:
    server.add(VIT, small_vit if kind == "vit" else small_resnet)
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
    server: HubServer, small_resnet: Path, small_vit: Path, tmp_path: Path
) -> None:
    """As users have it: HF_ENDPOINT and HF_HOME from outside; then once more with the hub gone."""
    for repo_id in (RN101, RN50X4):
        server.add(repo_id, small_resnet)

    def run(**extra: str) -> str:
        env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        env |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=env | extra, capture_output=True, text=True, check=True)
        assert "random" not in done.stderr
        return done.stdout

    first = run()
    assert [line.split()[0] for line in first.splitlines()] == ["C01", "C02", "C03"]
    assert server.requests[f"GET {WEIGHTS_FILE}"] == 3
    server.stop()
    assert run(HF_HUB_OFFLINE="1") == first
