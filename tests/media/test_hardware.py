"""Decoders of a GPU: what is said where there is none, and that they see what the processor sees where there is one."""

from pathlib import Path

import numpy as np
import pytest

import avscene
from avscene.errors import MediaError, UsageError
from avscene.media.hardware import CPU, check_decoder
from avscene.media.segments import Recording, Sampling
from tests.support.command_line import run
from tests.support.media_files import write_media

SAMPLING = Sampling(frame_size=120)


def is_there(decoder: str) -> bool:
    try:
        check_decoder(decoder)
    except UsageError:
        return False
    return True


absent = pytest.mark.skipif(is_there("cuda"), reason="there is a GPU that decodes")
present = pytest.mark.skipif(not is_there("cuda"), reason="there is no GPU that decodes")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_media(tmp_path / "film.mp4", 3.0, size=(320, 240))


def images(path: Path, decoder: str) -> tuple[list[np.ndarray], tuple[str, ...]]:
    with Recording(path, decoder=decoder) as recording:
        found = [frame.pixels for segment in recording.segments(SAMPLING) for frame in segment.frames]
        return found, recording.warnings


def test_an_unknown_decoder_is_told_with_those_that_there_are(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "classify", film, "--decoder", "steam").refused()
    assert told.startswith("decoder 'steam' is not one of cpu")
    with pytest.raises(UsageError, match="steam"):
        avscene.load("conse").classify(film, decoder="steam")


@absent
def test_a_device_that_is_not_there_is_told_before_any_file(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "classify", film, "--decoder", "cuda").refused()
    assert told.startswith("decoder cuda: no such device can be opened here") or "is not one of cpu" in told


@absent
def test_a_device_that_went_away_is_not_taken_for_a_fault_of_the_file(film: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"film\.mp4: the device does not open .*; use --decoder cpu"):
        Recording(film, decoder="cuda")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:500])
    with pytest.raises(MediaError) as by_processor:
        Recording(broken)
    with pytest.raises(MediaError) as by_device:
        Recording(broken, decoder="cuda")
    assert str(by_device.value) == str(by_processor.value)


def test_a_picture_that_the_device_does_not_decode_is_decoded_by_the_processor_and_that_is_said(film: Path) -> None:
    plain, nothing = images(film, CPU)
    given, warnings = images(film, "drm")  # no decoder of H.264 is there for it, so no device is opened
    assert nothing == ()
    assert warnings == ("drm does not decode such a picture; the processor did",)
    np.testing.assert_array_equal(given, plain)


@present
def test_a_device_shows_what_the_processor_shows(film: Path) -> None:
    plain, _ = images(film, CPU)
    given, warnings = images(film, "cuda")
    assert warnings == ()
    assert len(given) == len(plain) == 3
    assert np.abs(np.subtract(given, plain, dtype=float)).mean() < 1  # levels of 255
