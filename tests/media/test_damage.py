"""Test that a damaged recording gives the same frames and warnings with any number of decoder threads."""

import random
import re
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.media_conformance.reading import Reading, digest, read_with_threads
from tests.support.ffmpeg_program import ffmpeg

VIDEO = ["-f", "lavfi", "-i", "testsrc2=size=192x128:rate=25:duration=4", "-vf", "noise=all_strength=12:all_flags=t"]
X264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25"]
CODECS = {
    "mp4": X264,
    "ts": [*X264, "-slices", "3"],
    "mkv": ["-c:v", "libx265", "-x265-params", "log-level=none"],
    "mpg": ["-c:v", "mpeg2video", "-bf", "2"],
    "avi": ["-c:v", "mpeg4", "-bf", "2"],
}
THREADS = (1, 2, 4, 16)


def damage(path: Path, seed: int) -> Path:
    """Write random bytes into some packets, half of them among the last; return the damaged file."""
    rng, content = random.Random(seed), bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None and p.size > 64]
    for position, size in (*rng.sample(packets, 2), *rng.sample(packets[-12:], 2)):
        start = position + rng.randrange(size - 32)
        content[start : start + 32] = rng.randbytes(32)
    damaged = path.with_name(f"damaged_{seed}.{path.suffix}")
    damaged.write_bytes(content)
    return damaged


def read_with_each(path: Path) -> list[Reading]:
    return [read_with_threads(path, keyframes=False, threads=threads) for threads in THREADS]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", CODECS)
def test_damaged_video_gives_the_same_frames_with_any_number_of_threads(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    ffmpeg(*VIDEO, *CODECS[suffix], path)
    for seed in range(10):
        readings = read_with_each(damage(path, seed))
        assert len({digest(reading) for reading in readings}) == 1, (seed, [r.warnings for r in readings])
        assert len(readings[0].segments) == 4


def test_a_damaged_end_is_read_and_counted_with_any_number_of_threads(tmp_path):
    path = tmp_path / "a.mp4"
    ffmpeg(*VIDEO, *X264, "-bf", "0", path)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for position, size in packets[-8:-6]:
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    readings = read_with_each(path)
    assert {reading.warnings for reading in readings} == {("2 damaged packets skipped",)}
    assert len({digest(reading) for reading in readings}) == 1


def n_concealed(path: Path) -> int:
    """Return in how many frames the ffmpeg program conceals damage, by its messages."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-threads", "1", "-i", path, "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.count("] concealing ")


def test_a_warning_counts_the_frames_in_which_the_ffmpeg_program_conceals_damage(tmp_path):
    path = tmp_path / "a.mp4"
    ffmpeg(*VIDEO, *X264, path)
    for seed in range(6):
        damaged = damage(path, seed)
        with Recording(damaged) as recording:
            list(recording.segments(Sampling(frame_size=48, frames_per_segment=25)))
        found = [re.match(r"parts of (\d+) frames are damaged, from [0-3]", warning) for warning in recording.warnings]
        assert [int(match[1]) for match in found if match] == [n_concealed(damaged)], seed


def test_the_warnings_of_half_a_flac_file_do_not_depend_on_the_number_of_threads(tmp_path):
    path = tmp_path / "a.flac"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=duration=4", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for reading in read_with_each(path):
        assert reading.warnings[0] == "1 damaged packet skipped"
