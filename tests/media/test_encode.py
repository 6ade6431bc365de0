"""Test that wav and mp4 files are written whole, with the given audio and video."""

from pathlib import Path

import av
import numpy as np
import pytest

from avscene.errors import DataError
from avscene.media.encode import write_mp4, write_wav
from tests.support.media_files import decode_audio, decode_video


@pytest.mark.parametrize(("bits", "scale"), [(16, 2**15), (24, 2**31)])
def test_wav_keeps_its_channels_and_values(tmp_path: Path, bits: int, scale: int) -> None:
    wave = np.linspace(-1, 1, 2000, dtype=np.float32)
    write_wav(tmp_path / "a.wav", np.stack([wave, -wave], axis=1), 8000, bits=bits)
    with av.open(str(tmp_path / "a.wav")) as container:
        samples = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)])
        assert container.streams.audio[0].rate == 8000
    assert np.allclose(samples[:, 0] / scale, wave, atol=2 / 2 ** (bits - 1))
    assert np.allclose(samples[:, 1] / scale, -wave, atol=2 / 2 ** (bits - 1))


def test_mp4_has_audio_and_video(tmp_path: Path) -> None:
    frames = np.full((30, 48, 64, 3), (200, 40, 90), dtype=np.uint8)
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    write_mp4(tmp_path / "a.mp4", frames, 30, wave, 16_000)
    assert decode_video(tmp_path / "a.mp4").shape == frames.shape
    assert np.abs(decode_video(tmp_path / "a.mp4").mean(axis=(0, 1, 2)) - (200, 40, 90)).max() < 8
    samples = decode_audio(tmp_path / "a.mp4")
    assert abs(len(samples) / 16_000 - 1) < 0.2  # aac pads its frames
    assert abs(np.abs(np.fft.rfft(samples)).argmax() * 16_000 / len(samples) - 440) < 3


def broken(frames: np.ndarray) -> object:
    yield from frames
    raise ValueError("camera fell")


@pytest.mark.parametrize(
    ("frames", "error", "match"),
    [
        ([], DataError, r"a\.mp4: no frames"),
        ([np.zeros((48, 63, 3), np.uint8)], DataError, r"a\.mp4: frame 0 .* even size"),
        ([np.zeros((48, 64, 3))], DataError, r"a\.mp4: frame 0 is float64"),
        (broken(np.zeros((100, 48, 64, 3), np.uint8)), ValueError, "camera fell"),  # some are in the file
    ],
)
def test_a_failed_mp4_leaves_no_file(tmp_path: Path, frames: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        write_mp4(tmp_path / "a.mp4", frames, 12)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wave", [np.zeros((4, 4, 4)), np.zeros(0), np.array([0.0, np.nan])])
def test_an_invalid_waveform_is_refused(tmp_path: Path, wave: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"cannot write .*a\.wav"):
        write_wav(tmp_path / "a.wav", wave, 8000)
    assert not list(tmp_path.iterdir())


def test_the_error_names_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write .*nowhere.*a\.wav"):
        write_wav(tmp_path / "nowhere" / "a.wav", np.zeros(10), 8000)
