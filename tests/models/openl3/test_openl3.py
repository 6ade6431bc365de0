"""OpenL3: Keras's weights in torch compute what Keras computes; what is fetched is believed in nothing."""

import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import librosa
import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from avscene.errors import WeightsError
from avscene.features.openl3 import openl3_crops, openl3_log_mels
from avscene.models.device import Runtime
from avscene.models.openl3 import keras as openl3_keras
from avscene.models.openl3 import network as openl3_network
from avscene.models.openl3 import weights as openl3_weights
from avscene.models.openl3.encoders import (
    OpenL3AudioEncoder,
    OpenL3ImageEncoder,
    load_openl3_encoder,
)
from avscene.models.openl3.keras import read_keras, unpack_keras_file
from avscene.models.openl3.network import POOLING, Branch, OpenL3Network, n_weights
from avscene.models.openl3.weights import AUDIO, IMAGE, OpenL3Weights, is_present, load_tensors, openl3_presence
from avscene.models.weights.strict import faults, fill
from avscene.records import Frame, Segment
from tests.support.kapre import RATE, kapre_mel, waveforms
from tests.support.openl3_files import Edit, FileServer, Weights, hdf5, packed, random_weights

NARROW = (4, 4, 6, 6, 8, 8, 16, 512)
RUNTIME = Runtime(torch.device("cpu"), torch.float32)
OFFLINE = Runtime(torch.device("cpu"), torch.float32, offline=True)
REFERENCE = Path(__file__).parents[4] / "shared" / "openl3_regression" / "data"


@pytest.fixture
def wide() -> None:
    """Asked for by tests of the real networks."""


@pytest.fixture(autouse=True)
def narrow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere networks have the same layers with few channels."""
    if "wide" not in request.fixturenames:
        monkeypatch.setattr(openl3_network, "WIDTHS", NARROW)


@pytest.fixture
def audio() -> Weights:
    return random_weights("audio")


@pytest.fixture
def image() -> Weights:
    return random_weights("image", seed=1)


@pytest.fixture
def published(audio: Weights, image: Weights) -> dict[str, bytes]:
    return {AUDIO.file: packed(hdf5(audio)), IMAGE.file: packed(hdf5(image))}


@pytest.fixture
def server(published: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The published files on loopback, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with FileServer(dict(published)) as running:
        monkeypatch.setattr(openl3_weights, "BASE_URL", running.url)
        yield running


def network(branch: Branch, weights: Weights, embedding_size: int = 512) -> OpenL3Network:
    built = OpenL3Network(branch, embedding_size)
    found = {name: torch.from_numpy(array) for name, array in read_keras(hdf5(weights), branch, "file").items()}
    assert faults(built, found) == ""
    fill(built, found)
    return built.train(mode=False)


# Keras's arithmetic, in numpy and double precision, on (height, width, channels).


def convolution(values: np.ndarray, layer: dict[str, np.ndarray]) -> np.ndarray:
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    windows = sliding_window_view(padded, (3, 3), axis=(0, 1))  # (height, width, channels, 3, 3)
    return np.tensordot(windows, layer["kernel"].astype(float), axes=([3, 4, 2], [0, 1, 2])) + layer["bias"]


def normalisation(values: np.ndarray, layer: dict[str, np.ndarray]) -> np.ndarray:
    scaled = (values - layer["moving_mean"]) / np.sqrt(layer["moving_variance"].astype(float) + 0.001)
    return scaled * layer["gamma"] + layer["beta"]


def pooled(values: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = values.shape[0] // height, values.shape[1] // width
    cut = values[: rows * height, : columns * width]
    return cut.reshape(rows, height, columns, width, -1).max(axis=(1, 3))


def keras_embedding(values: np.ndarray, weights: Weights, branch: Branch, pool: tuple[int, int]) -> np.ndarray:
    """Compute embeddings with Keras, layer by layer as in the published code."""
    layers = iter(weights.values())
    values = normalisation(values, next(layers))
    for block in range(3):
        values = np.maximum(normalisation(convolution(values, next(layers)), next(layers)), 0)
        values = convolution(values, next(layers))
        if branch == "image" and block == 0:
            values = normalisation(np.maximum(values, 0), next(layers))
        else:
            values = np.maximum(normalisation(values, next(layers)), 0)
        values = pooled(values, 2, 2)
    values = np.maximum(normalisation(convolution(values, next(layers)), next(layers)), 0)
    values = convolution(values, next(layers))
    assert next(layers, None) is None
    return pooled(values, *pool).flatten()  # channels innermost


@pytest.mark.parametrize(
    ("branch", "size", "shape"),
    [
        ("audio", 6144, (64, 131, 1)),  # 8 x 16 before the last pooling of 8 x 8; an odd number of times
        ("image", 8192, (56, 112, 3)),  # 7 x 14 before one of 7 x 7
    ],
)
def test_embeddings_equal_those_of_keras(
    branch: Branch, size: int, shape: tuple[int, int, int], request: pytest.FixtureRequest
) -> None:
    weights: Weights = request.getfixturevalue(branch)
    values = np.random.default_rng(3).normal(0, 1, shape)
    images = torch.from_numpy(values.transpose(2, 0, 1)[None]).float()
    with torch.inference_mode():
        found = network(branch, weights, size)(images)[0].double().numpy()
    expected = keras_embedding(values, weights, branch, POOLING[branch][size])
    assert found.shape == expected.shape == (2 * 512,)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.usefixtures("wide")
def test_the_real_network_equals_that_of_keras() -> None:
    weights = random_weights("audio")
    values = np.random.default_rng(4).normal(0, 1, (64, 64, 1))
    with torch.inference_mode():
        found = network("audio", weights, 6144)(torch.from_numpy(values.transpose(2, 0, 1)[None]).float())
    expected = keras_embedding(values, weights, "audio", POOLING["audio"][6144])
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("branch", "shape", "sizes"),
    [("audio", (1, 256, 199), (512, 6144)), ("image", (3, 224, 224), (512, 8192))],
)
def test_the_real_inputs_give_the_published_lengths(
    branch: Branch, shape: tuple[int, int, int], sizes: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    built = network(branch, request.getfixturevalue(branch))
    with torch.inference_mode():
        features = built.features(torch.randn(1, *shape))
    height, width = features.shape[2:]
    for size in sizes:
        pool = POOLING[branch][size]
        assert height % pool[0] == width % pool[1] == 0  # Keras's "same" padding of this pooling adds nothing
        assert 512 * (height // pool[0]) * (width // pool[1]) == size


@pytest.mark.usefixtures("wide")
def test_parameter_counts() -> None:
    """The audio network has close to 4.7 million parameters (Kumari et al. 2019, EdgeL3)."""
    counts = {}
    for branch in ("audio", "image"):
        built = OpenL3Network(branch)
        counts[branch] = sum(parameter.numel() for parameter in built.parameters())
        statistics = sum(len(buffer) for name, buffer in built.named_buffers() if "running" in name)
        assert counts[branch] + statistics == n_weights(branch)
    assert counts == {"audio": 4_687_042, "image": 4_688_198}


def test_gradients_reach_every_parameter() -> None:
    built = OpenL3Network("audio", 6144)
    built(torch.randn(2, 1, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in built.parameters())


# Fetching, converting, keeping.


def segment(waveform: np.ndarray | None = None, *frames: np.ndarray, length: float = 1.0) -> Segment:
    return Segment(0, length, tuple(Frame(0, pixels) for pixels in frames), waveform)


def test_audio_is_embedded_with_the_fetched_weights(server: FileServer, audio: Weights) -> None:
    encoder = load_openl3_encoder("openl3-audio", RUNTIME)
    assert server.requests == [AUDIO.file]
    waveform = waveforms()["noise"]
    found = encoder.embed([segment(waveform), segment(None), segment(waveform[:24_000])])
    assert found.shape == (3, encoder.embedding_size) == (3, 512)
    assert np.isnan(found[1]).all()
    mels = kapre_mel(waveform)[..., None]
    expected = keras_embedding(mels, audio, "audio", (32, 24))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    short = encoder.embed([segment(np.pad(waveform[:24_000], (0, 24_000)))])
    np.testing.assert_allclose(found[2], short[0], rtol=1e-4, atol=1e-4)


def test_longer_segments_are_the_mean_of_their_seconds(audio: Weights) -> None:
    encoder = OpenL3AudioEncoder(network("audio", audio), "sha", RUNTIME)
    first, second = waveforms()["noise"], waveforms()["chirp"]
    both = encoder.embed([segment(np.concatenate([first, second]), length=2.0)])[0]
    apart = encoder.embed([segment(first), segment(second)])
    np.testing.assert_allclose(both, apart.mean(0), rtol=1e-4, atol=1e-4)


def test_the_frame_in_the_middle_is_embedded(server: FileServer, image: Weights) -> None:
    encoder = load_openl3_encoder("openl3-image", RUNTIME)
    assert server.requests == [IMAGE.file]
    frames = np.random.default_rng(1).integers(0, 256, (3, 256, 300, 3), dtype=np.uint8)
    found = encoder.embed([segment(None, *frames), segment(None), segment(None, frames[1])])
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5, atol=1e-5)
    expected = keras_embedding(frames[1, 16:240, 38:262] / 255, image, "image", (28, 28))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_cached_weights_are_not_fetched_again(server: FileServer) -> None:
    assert openl3_presence("both") == (False, openl3_presence("both")[1])
    assert AUDIO.file in openl3_presence("audio")[1]
    first = load_tensors(AUDIO, offline=False)[0]
    assert openl3_presence("audio") == (True, "cached")
    assert not openl3_presence("both")[0]
    again, sha256 = load_tensors(AUDIO, offline=True)
    assert server.requests == [AUDIO.file]
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert sha256 == hashlib.sha256(server.files[AUDIO.file]).hexdigest()
    assert sorted(path.name for path in openl3_weights.directory().iterdir()) == [
        AUDIO.lock.name,
        AUDIO.converted.name,
    ]


def test_a_file_that_was_put_there_needs_no_network(server: FileServer) -> None:
    AUDIO.placed.parent.mkdir(parents=True)
    AUDIO.placed.write_bytes(server.files[AUDIO.file])
    assert openl3_presence("audio") == (True, "cached")
    load_openl3_encoder("openl3-audio", OFFLINE)
    assert server.requests == []
    assert json.loads(AUDIO.lock.read_text())["source"] == str(AUDIO.placed)


@pytest.mark.usefixtures("server")
def test_offline_the_error_names_the_remedy() -> None:
    with pytest.raises(
        WeightsError,
        match=r"openl3_audio_mel256_env-v0_4_0\.h5\.gz is not in .* --offline is set: run once with a network",
    ):
        load_openl3_encoder("openl3-audio", OFFLINE)
    assert not is_present(AUDIO)


def test_keys_name_weights_and_front_end(audio: Weights, image: Weights) -> None:
    one, other = (OpenL3AudioEncoder(network("audio", audio), sha, RUNTIME).key for sha in ("a" * 64, "b" * 64))
    assert one != other
    assert OpenL3ImageEncoder(network("image", image), "a" * 64, RUNTIME).key != one


def test_a_server_that_breaks_off(server: FileServer) -> None:
    server.broken = True
    with pytest.raises(WeightsError, match=r"was not fetched \(.*run again, or put the file into"):
        load_tensors(AUDIO, offline=False)
    assert list(openl3_weights.directory().parent.glob("**/*")) == []
    server.broken = False
    load_tensors(AUDIO, offline=False)


def test_a_server_without_the_file(server: FileServer) -> None:
    server.files.clear()
    with pytest.raises(WeightsError, match=r"was not fetched \(.*404"):
        load_tensors(AUDIO, offline=False)


def test_a_server_that_sends_too_much(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openl3_weights, "MAX_DOWNLOAD", 1 << 16)
    with pytest.raises(WeightsError, match="is larger than 0 MiB"):
        load_tensors(AUDIO, offline=False)
    assert server.requests == [AUDIO.file]


@pytest.mark.usefixtures("server")
def test_an_unreachable_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openl3_weights, "BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"http://127\.0\.0\.1:9/openl3_audio.* was not fetched"):
        load_tensors(AUDIO, offline=False)


@pytest.mark.usefixtures("server")
def test_an_altered_conversion_is_refused() -> None:
    load_tensors(AUDIO, offline=False)
    content = bytearray(AUDIO.converted.read_bytes())
    content[-1] ^= 1
    AUDIO.converted.write_bytes(content)
    with pytest.raises(WeightsError, match=r"\.safetensors: was changed \(SHA-256\); delete it and run again"):
        load_tensors(AUDIO, offline=False)


def test_the_file_that_was_used_first_is_the_only_one(server: FileServer, audio: Weights) -> None:
    load_tensors(AUDIO, offline=False)
    AUDIO.converted.unlink()
    server.files[AUDIO.file] = packed(hdf5(audio, lambda file: file.attrs.update(comment="another file")))
    with pytest.raises(WeightsError, match=r"its SHA-256 is .*, but the file that was used first had .* to trust"):
        load_tensors(AUDIO, offline=False)
    AUDIO.lock.unlink()
    load_tensors(AUDIO, offline=False)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("content", [b"", b"{}", b'{"source": "x", "source_sha256": 1}', b"\xff\xfe"])
def test_a_damaged_lock(content: bytes) -> None:
    AUDIO.lock.parent.mkdir(parents=True)
    AUDIO.lock.write_bytes(content)
    with pytest.raises(WeightsError, match=r"lock\.json: is damaged; delete it"):
        load_tensors(AUDIO, offline=False)


@pytest.mark.usefixtures("server")
def test_a_conversion_by_another_version() -> None:
    from safetensors.numpy import load, save

    load_tensors(AUDIO, offline=False)
    fewer = dict(list(load(AUDIO.converted.read_bytes()).items())[1:])
    AUDIO.converted.write_bytes(save(fewer))
    lock = json.loads(AUDIO.lock.read_text())
    lock["converted_sha256"] = hashlib.sha256(AUDIO.converted.read_bytes()).hexdigest()
    AUDIO.lock.write_text(json.dumps(lock))
    with pytest.raises(WeightsError, match="was made by another version"):
        load_openl3_encoder("openl3-audio", OFFLINE)


# Files that are not what they should be.

SIGNATURES = (b"\x89HDF", b"TREE", b"HEAP", b"SNOD", b"GCOL")  # of HDF5's own structures


def refused(content: bytes, match: str) -> None:
    with pytest.raises(WeightsError, match=match) as caught:
        read_keras(content, "audio", "weights.h5")
    assert "\n" not in str(caught.value)


def _first_layer(file: h5py.File) -> h5py.Group:
    return file["batch_normalization_9"]["batch_normalization_9"]


def _replace(file: h5py.File, values: np.ndarray) -> None:
    del _first_layer(file)["gamma:0"]
    _first_layer(file)["gamma:0"] = values


def _without(file: h5py.File, layer: str) -> None:
    file.attrs["layer_names"] = np.array([name for name in file.attrs["layer_names"] if name != layer.encode()])


def _with_spectrogram(file: h5py.File) -> None:
    """As in the files before 0.4.0, which carry the front end as a layer."""
    file.attrs["layer_names"] = np.array([b"melspectrogram_1", *file.attrs["layer_names"]])
    group = file.create_group("melspectrogram_1")
    group.attrs["weight_names"] = [b"melspectrogram_1/Variable:0"]
    group["melspectrogram_1/Variable:0"] = np.zeros((1025, 256), np.float32)


def _link(file: h5py.File, link: object) -> None:
    del _first_layer(file)["gamma:0"]
    _first_layer(file)["gamma:0"] = link


def _kept_elsewhere(file: h5py.File) -> None:
    del _first_layer(file)["gamma:0"]
    _first_layer(file).create_dataset("gamma:0", (1,), np.float32, external=[("/etc/hostname", 0, 4)])


def _virtual(file: h5py.File) -> None:
    del _first_layer(file)["gamma:0"]
    layout = h5py.VirtualLayout((1,), np.float32)
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "values", (1,))
    _first_layer(file).create_virtual_dataset("gamma:0", layout)


def _swap(file: h5py.File) -> None:
    names = list(file.attrs["layer_names"])
    first, second = names.index(b"batch_normalization_9"), names.index(b"conv2d_9")
    names[first], names[second] = names[second], names[first]
    file.attrs["layer_names"] = np.array(names)


EDITS: dict[str, tuple[Edit, str]] = {
    "a layer is missing": (lambda file: _without(file, "conv2d_9"), "has 15 layers with weights; .* has 16"),
    "a layer too many": (_with_spectrogram, "has 17 layers with weights; .* has 16"),
    "another shape": (
        lambda file: _replace(file, np.ones(2, np.float32)),
        r"gamma is float32 \(2,\); expected float32 \(1,\)",
    ),
    "another type": (lambda file: _replace(file, np.ones(1, np.float64)), r"gamma is float64 \(1,\); expected"),
    "text": (lambda file: _replace(file, np.array(["x"], object)), "gamma is object"),
    "not finite": (lambda file: _replace(file, np.full(1, np.nan, np.float32)), "not finite"),
    "an external link": (lambda file: _link(file, h5py.ExternalLink("/tmp/other.h5", "/x")), "is not a hard link"),
    "a soft link": (lambda file: _link(file, h5py.SoftLink("/conv2d_9")), "is not a hard link"),
    "a group in its place": (lambda file: _link(file, file["conv2d_9"]), "is not an array"),
    "data in another file": (_kept_elsewhere, "stored in another file"),
    "a virtual dataset": (_virtual, "stored in another file"),
    "no list of layers": (lambda file: file.attrs.__delitem__("layer_names"), "cannot be read as Keras weights"),
    "a layer without group": (lambda file: file.__delitem__("conv2d_10"), "cannot be read as Keras weights"),
    "an endless list": (lambda file: file.attrs.update(layer_names=[b"x"] * 101), "101 entries"),
    "no text in the list": (lambda file: file.attrs.update(layer_names=[b"\xff\xfe"]), "cannot be read"),
    "another network": (_swap, "has .*; expected "),
}


@pytest.mark.parametrize("fault", list(EDITS))
def test_a_file_that_is_not_exactly_the_network(fault: str, audio: Weights) -> None:
    edit, match = EDITS[fault]
    refused(hdf5(audio, edit), match)


def test_another_branch_is_refused(image: Weights) -> None:
    refused(hdf5(image), "gamma is float32 \\(3,\\); expected float32 \\(1,\\)")


def test_layers_are_matched_by_order_not_by_number(audio: Weights) -> None:
    renamed = {f"l{index}": layer for index, layer in enumerate(audio.values())}
    first, second = (read_keras(hdf5(weights), "audio", "file") for weights in (audio, renamed))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_no_hdf5(content: bytes) -> None:
    refused(content, r"weights\.h5: cannot be read as Keras weights")


def test_a_file_cut_off_anywhere(audio: Weights) -> None:
    content = hdf5(audio)
    for share in (0.001, 0.3, 0.9, 0.9999):
        refused(content[: int(len(content) * share)], "cannot be read as Keras weights|not finite")


def test_damaged_structure_is_an_error_or_harmless(audio: Weights) -> None:
    content = hdf5(audio)
    random = np.random.default_rng(0)
    structure = [position for position in range(len(content)) if content[position : position + 4] in SIGNATURES]
    refusals = 0
    for _ in range(60):
        damaged = bytearray(content)
        for start in random.choice(structure, 3):
            damaged[start + int(random.integers(0, 200))] ^= int(random.integers(1, 256))
        try:
            read_keras(bytes(damaged), "audio", "weights.h5")
        except WeightsError:
            refusals += 1
    assert refusals > 20


def test_gzip_that_is_damaged(audio: Weights) -> None:
    whole = packed(hdf5(audio))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (whole[:1000], whole[:-4], bytes(flipped), b"<html>Please log in</html>"):
        with pytest.raises(WeightsError, match="is damaged or truncated"):
            unpack_keras_file(content, "weights.h5.gz")


def test_a_gzip_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openl3_keras, "MAX_BYTES", 1 << 20)
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    with pytest.raises(WeightsError, match="is larger than 1 MiB when decompressed"):
        unpack_keras_file(buffer.getvalue(), "weights.h5.gz")


# The original's own embeddings, where its weights are.

MUSIC_AUDIO, MUSIC_IMAGE = OpenL3Weights("audio", "music"), OpenL3Weights("image", "music")


def original(weights: OpenL3Weights, name: str, embedding_size: int) -> tuple[OpenL3Network, np.ndarray]:
    """The network with the published weights and reference embeddings; skips where either is not here."""
    if not REFERENCE.is_dir():
        pytest.skip(f"no reference embeddings at {REFERENCE}")
    path = Path(os.environ.get("OPENL3_WEIGHTS", "")) / weights.file
    if not path.is_file():
        pytest.skip(f"OPENL3_WEIGHTS names no directory with the published {weights.file}")
    arrays = read_keras(unpack_keras_file(path.read_bytes(), weights.file), weights.branch, weights.file)
    built = OpenL3Network(weights.branch, embedding_size)
    fill(built, {key: torch.tensor(array) for key, array in arrays.items()})
    return built.train(mode=False), np.load(REFERENCE / "regression" / name)["embedding"]


@pytest.mark.usefixtures("wide")
def test_the_originals_embeddings_of_a_chirp() -> None:
    built, expected = original(MUSIC_AUDIO, "chirp_44k.npz", 6144)
    waveform, rate = librosa.load(REFERENCE / "audio" / "chirp_44k.wav", sr=None)
    resampled = librosa.resample(waveform, orig_sr=rate, target_sr=RATE, res_type="soxr_vhq")
    centred = np.pad(resampled, (RATE // 2, RATE))
    windows = np.stack([centred[4800 * row : 4800 * row + RATE] for row in range(len(expected))])
    with torch.inference_mode():
        found = built(openl3_log_mels(torch.from_numpy(windows).float())).numpy()
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.99  # the resamplers differ, and quiet bands of a chirp are all theirs
    np.testing.assert_allclose(found[0], expected[0], atol=0.05)


@pytest.mark.usefixtures("wide")
def test_the_originals_embedding_of_a_daisy() -> None:
    from PIL import Image

    built, expected = original(MUSIC_IMAGE, "daisy.npz", 8192)
    frame = np.array(Image.open(REFERENCE / "image" / "daisy.jpg").convert("RGB"))
    with torch.inference_mode():
        found = built(openl3_crops([frame])).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=0.05)
