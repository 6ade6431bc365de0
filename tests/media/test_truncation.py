"""Test that files that end anywhere are read up to there with a warning, or refused with one line."""

from pathlib import Path

import pytest

from avscene.errors import MediaError
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.media_conformance.source import AAC, H264, MPEG2, PCM, clip

N_OFFSETS = 100
SECONDS = 2
MJPEG = ("-c:v", "mjpeg", "-q:v", 3)
# Format -> options of its encoder, and whether its header states the duration or the size of the data.
FORMATS = {
    "a.mp4": ((H264, AAC, "-movflags", "+faststart"), True),
    "a.mov": ((MJPEG, PCM, "-movflags", "+faststart"), True),
    "a.mkv": ((H264, AAC), True),
    "a.webm": ((("-c:v", "libvpx"), ("-c:a", "libopus")), True),
    "a.avi": ((MJPEG, PCM), True),
    "a.ts": ((H264, ("-c:a", "mp2")), False),
    "a.mpg": (((*MPEG2, "-r", 25), ("-c:a", "mp2")), False),
    "a.flv": ((H264, AAC), True),
    "a.ogg": ((None, ("-c:a", "libvorbis")), False),
    "a.flac": ((None, ("-c:a", "flac")), True),
    "a.wav": ((None, PCM), True),
}


def read(path: Path) -> tuple[float, tuple[str, ...]] | str:
    """Return the duration in seconds and the warnings, or the message with which the file is refused."""
    try:
        with Recording(path) as recording:
            assert list(recording.segments(Sampling(sample_rate=16_000, frame_size=48)))
    except MediaError as error:
        return str(error)
    return recording.duration, recording.warnings


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_ends_anywhere_is_read_with_a_warning_or_refused(tmp_path: Path, name: str) -> None:
    (video, audio, *options), states_duration = FORMATS[name]
    whole = clip(name, *options, video=video, audio=audio, seconds=SECONDS)(tmp_path)
    found = read(whole)
    assert not isinstance(found, str), found
    duration, warnings = found
    assert not [warning for warning in warnings if "ends" in warning or "damaged" in warning]
    content, path = whole.read_bytes(), tmp_path / f"cut{whole.suffix}"
    n_read = 0
    for k in range(N_OFFSETS):
        path.write_bytes(content[: len(content) * k // N_OFFSETS])
        found = read(path)
        if isinstance(found, str):
            assert found.startswith(f"{path}: ")
            assert "\n" not in found
            continue
        n_read += 1
        end, warnings = found
        assert end <= duration + 0.05
        if states_duration and end < duration - 0.6:
            assert any("ends" in warning for warning in warnings), (k, end, warnings)
    assert n_read > N_OFFSETS / 4  # headers of Vorbis are long
