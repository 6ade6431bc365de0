"""Test that frames with any kind of side data are read, upright, and that none ends the process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from avscene.media.segments import Recording, Sampling
from tests.support import media_files as make
from tests.support.processes import ROOT
from tests.support.side_data import FILES, SIZE, photograph, png_video

# Decode twice, as the package does and with everything that ffmpeg can export, and collect garbage after each.
READ = """
import gc, sys
import av
from avscene.media.segments import Recording, Sampling
from avscene.media.rgb.orientation import DisplayMatrixReader
from tests.support.side_data import kinds_of

path, expected = sys.argv[1], set(sys.argv[2:])
for keyframes_only in (False, True):
    with Recording(path) as recording:
        for segment in recording.segments(Sampling(0.5, 16000, 32, keyframes_only=keyframes_only)):
            assert segment.frames or segment.waveform is not None
            gc.collect()
found = set()
with av.open(path) as container:
    stream = container.streams[0]
    stream.codec_context.options = {"export_side_data": "mvs+film_grain+venc_params"}
    if stream.type == "audio":
        stream.codec_context.options = {"flags2": "+skip_manual"}
    reader = DisplayMatrixReader()
    for frame in container.decode(stream):
        found |= kinds_of(frame)
        if stream.type == "video":
            reader.read(frame)
        gc.collect()
del frame, reader
gc.collect()
assert expected <= found, found
print("read")
"""


@pytest.mark.parametrize("name", FILES)
def test_frames_with_any_side_data_are_read(tmp_path: Path, name: str) -> None:
    kinds, write = FILES[name]
    command = [sys.executable, "-c", READ, str(write(tmp_path / name)), *kinds]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "read\n", "")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tiff"])
def test_a_photograph_is_upright_as_pillow_shows_it(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = photograph(tmp_path / f"a{suffix}", orientation)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    with Recording(path) as recording:
        segment = next(recording.segments(Sampling(frame_size=SIZE[1])))
    assert segment.frames[0].pixels.shape == upright.shape
    assert make.corner_colours(segment.frames[0].pixels) == make.corner_colours(upright)


def test_of_a_jpeg_with_several_images_the_first_is_the_photograph(tmp_path: Path) -> None:
    image = Image.fromarray(make.corner_frame(SIZE))
    image.save(tmp_path / "a.jpg", "mpo", save_all=True, append_images=[image.rotate(180)])
    with Recording(tmp_path / "a.jpg") as recording:
        (segment,) = recording.segments(Sampling(frame_size=SIZE[1]))
    assert (recording.duration, recording.warnings) == (0.0, ())
    assert make.corner_colours(segment.frames[0].pixels) == "rgwb"


@pytest.mark.parametrize("hop", [1.0, 0.1])
def test_a_photograph_whose_container_states_a_duration_is_one_segment(tmp_path: Path, hop: float) -> None:
    with Recording(photograph(tmp_path / "a.avif")) as recording:
        (segment,) = recording.segments(Sampling(hop, frame_size=SIZE[1]))
    assert (recording.duration, segment.start, segment.end, len(segment.frames)) == (0.0, 0.0, 0.0, 1)


def test_each_frame_of_a_png_video_is_upright(tmp_path: Path) -> None:
    with Recording(png_video(tmp_path / "a.mkv", 5)) as recording:
        corners = [make.corner_colours(f.pixels) for s in recording.segments(Sampling(0.5, None, 48)) for f in s.frames]
    assert corners == ["rbwg"] * 4  # orientation 5: the diagonal from the upper left is the mirror's axis


# The track: rotated anticlockwise by a quarter ("gwbr"), then mirrored. H.264: mirrored ("grbw"), then rotated.
@pytest.mark.parametrize(("name", "corners"), [("mirrored.mp4", "wgrb"), ("mirrored.h264", "rbwg")])
def test_a_video_that_asks_for_mirroring_is_mirrored(tmp_path: Path, name: str, corners: str) -> None:
    with Recording(FILES[name][1](tmp_path / name)) as recording:
        segment = next(recording.segments(Sampling(frame_size=48)))
    assert make.corner_colours(segment.frames[0].pixels) == corners
