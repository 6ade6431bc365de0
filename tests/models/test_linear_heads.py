"""Linear heads on frozen encoders: sizes, missing modalities, and that a segment's batch changes nothing."""

import numpy as np
import pytest
import torch

from avscene.features.logmel import LogMelSpec, log_mel
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import EMBEDDING_SIZE, FRAMES
from avscene.models.linear_heads import AudioEncoder, LinearHead, LinearHeadModel, VideoEncoder, mel_images
from avscene.records import Frame, Segment
from tests.support.fast_system import LOG_MEL, MEL_IMAGE

CPU = Runtime.choose("cpu", "float32")
LABELS = LabelSet(("a", "b", "c"))


def waveform(seed: int) -> np.ndarray:
    """One second of a random tone in noise."""
    random = np.random.default_rng(seed)
    times = np.arange(LOG_MEL.sample_rate) / LOG_MEL.sample_rate
    tone = 0.3 * np.sin(2 * np.pi * random.uniform(200, 4000) * times)
    return (tone + random.uniform(0.001, 0.1) * random.standard_normal(len(times))).astype(np.float32)


def image(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    tiles = random.integers(0, 256, (7, 10, 3), dtype=np.uint8)
    return tiles.repeat(34, axis=0).repeat(34, axis=1)


def segment(seed: int, *, frames: int = 1, audio: bool = True) -> Segment:
    images = tuple(Frame(0.1 * k, image(100 * seed + k)) for k in range(frames))
    return Segment(seed, seed + 1, images, waveform(seed) if audio else None)


# Segments with both modalities, with one of them, and with none.
SEGMENTS = [
    segment(0),
    segment(1, audio=False),
    segment(2, frames=0),
    segment(3, frames=3),
    segment(4, frames=0, audio=False),
    segment(5, frames=2),
    segment(6),
]


@pytest.fixture(scope="module")
def encoders() -> dict[str, AudioEncoder | VideoEncoder]:
    return {"audio": AudioEncoder(LOG_MEL, CPU, MEL_IMAGE), "video": VideoEncoder(FRAMES, CPU)}


@pytest.fixture(scope="module")
def models(encoders: dict[str, AudioEncoder | VideoEncoder]) -> dict[str, LinearHeadModel]:
    """Random heads, scaled so that the probabilities of these segments are neither uniform nor certain."""
    random = np.random.default_rng(0)
    made = {}
    for name, encoder in encoders.items():
        embeddings = encoder.embed(SEGMENTS)
        weight = random.normal(0, 1, (encoder.embedding_size, 3))
        logits = embeddings @ weight
        scale = 1 / np.nanstd(logits, axis=0).mean()
        head = LinearHead(scale * weight, -scale * np.nanmean(logits, axis=0))
        made[name] = LinearHeadModel(name, LABELS, encoder, head)
    return made


def test_sizes_and_inputs_of_the_encoders(encoders: dict[str, AudioEncoder | VideoEncoder]) -> None:
    audio, video = encoders["audio"], encoders["video"]
    assert (audio.needs, audio.sample_rate, audio.frame_size) == ("audio", 44_100, None)
    assert (video.needs, video.sample_rate, video.frame_size) == ("video", None, 224)
    assert audio.embedding_size == EMBEDDING_SIZE + 2 * LOG_MEL.n_mels == 2432
    assert video.embedding_size == EMBEDDING_SIZE == 1984
    for encoder in encoders.values():
        assert encoder.embed(SEGMENTS[:1]).shape == (1, encoder.embedding_size)


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_exactly_the_rows_without_the_modality_are_nan(models: dict[str, LinearHeadModel], modality: str) -> None:
    model = models[modality]
    embeddings = model.encoder.embed(SEGMENTS)
    expected = [segment.has(modality) for segment in SEGMENTS]
    assert (~np.isnan(embeddings)).all(axis=1).tolist() == expected
    assert np.isnan(embeddings).all(axis=1).tolist() == [not has for has in expected]
    assert model.score(SEGMENTS).scored.tolist() == expected


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_batch_without_the_modality_is_not_scored(models: dict[str, LinearHeadModel], modality: str) -> None:
    assert not models[modality].score([SEGMENTS[4]]).scored.any()


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_probabilities_do_not_depend_on_the_batch(models: dict[str, LinearHeadModel], modality: str) -> None:
    model = models[modality]
    together = model.score(SEGMENTS).probabilities
    alone = np.concatenate([model.score([segment]).probabilities for segment in SEGMENTS])
    backwards = model.score(SEGMENTS[::-1]).probabilities[::-1]
    np.testing.assert_allclose(alone, together, atol=1e-4)
    np.testing.assert_allclose(backwards, together, atol=1e-4)
    scored = together[~np.isnan(together[:, 0])]
    assert np.ptp(scored, axis=0).max() > 0.2  # equal rows would prove nothing


def test_video_embedding_is_the_mean_over_frames(encoders: dict[str, AudioEncoder | VideoEncoder]) -> None:
    frames = SEGMENTS[3].frames
    each = encoders["video"].embed([Segment(0, 1, (frame,), None) for frame in frames])
    both = encoders["video"].embed([Segment(0, 1, frames, None)])[0]
    np.testing.assert_allclose(both, each.mean(axis=0), atol=1e-4)


def test_audio_embedding_ends_with_mean_and_deviation_of_each_band(
    encoders: dict[str, AudioEncoder | VideoEncoder],
) -> None:
    embedding = encoders["audio"].embed(SEGMENTS[:1])[0]
    mels = log_mel(torch.from_numpy(SEGMENTS[0].waveform)[None], LOG_MEL)[0].numpy()
    np.testing.assert_allclose(
        embedding[EMBEDDING_SIZE : EMBEDDING_SIZE + LOG_MEL.n_mels], mels.mean(axis=1), atol=1e-3
    )
    np.testing.assert_allclose(embedding[-LOG_MEL.n_mels :], mels.std(axis=1, ddof=1), atol=1e-3)


def test_silence_and_full_scale_can_be_embedded(encoders: dict[str, AudioEncoder | VideoEncoder]) -> None:
    extremes = [np.zeros(LOG_MEL.sample_rate, np.float32), np.sign(waveform(1))]
    embeddings = encoders["audio"].embed([Segment(0, 1, (), audio) for audio in extremes])
    assert np.isfinite(embeddings).all()


def test_mel_images_have_low_frequencies_at_the_bottom_and_black_at_the_floor() -> None:
    spec = LogMelSpec(16_000, 512, 160, 40, 0.0, 8_000.0)
    mels = torch.full((1, 40, 101), spec.floor_db)
    mels[:, 0] = 0.0  # only the lowest band has energy
    images = mel_images(mels, spec, MEL_IMAGE)
    assert images.shape == (1, 3, 224, 112)
    assert torch.equal(images[:, 0], images[:, 2])
    assert images[0, 0, 0].max() == -1
    assert images[0, 0, -1].min() == 1


def test_segments_are_not_changed(encoders: dict[str, AudioEncoder | VideoEncoder]) -> None:
    audio, pixels = SEGMENTS[0].waveform.copy(), SEGMENTS[0].frames[0].pixels.copy()
    for encoder in encoders.values():
        encoder.embed(SEGMENTS[:1])
    np.testing.assert_array_equal(SEGMENTS[0].waveform, audio)
    np.testing.assert_array_equal(SEGMENTS[0].frames[0].pixels, pixels)


def test_head_equals_a_softmax_and_does_not_overflow() -> None:
    head = LinearHead(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([0.5, -0.5]))
    rows = head.probabilities(np.array([[1.0, 1.0], [1000.0, 0.0], [np.nan, np.nan]]))
    np.testing.assert_allclose(rows[0], np.exp([1.5, 1.5]) / (2 * np.exp(1.5)))
    np.testing.assert_allclose(rows[1], [1.0, 0.0])
    assert np.isnan(rows[2]).all()
