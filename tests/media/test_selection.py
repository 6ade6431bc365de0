"""Test that skipping packets saves decoding and never changes the sampled frames."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.media.decode import MediaFile
from avscene.media.decoded import DecodedFrame
from avscene.media.packets import selection
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.support.ffmpeg_program import ffmpeg

FPS, SIZE = 20, (80, 48)
SAMPLING = Sampling(frame_size=48)


def write_video(
    path: Path, n_frames: int = 150, codec: str = "libx264", gop: int = 250, fps: int = FPS, **options
) -> Path:
    """Write moving stripes over noise: a frame decoded from a wrong reference looks different."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 90, (SIZE[1], SIZE[0], 3))
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = SIZE
        stream.pix_fmt = {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = Fraction(1, fps)
        stream.options = {key: str(value) for key, value in options.items()}
        for number in range(n_frames):
            pixels = np.roll(noise, (number, 3 * number), (0, 1))
            pixels[:, (7 * number) % SIZE[0]] = (number * 5 % 160) + 90
            frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), "rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path: Path, sampling: Sampling = SAMPLING) -> tuple:
    with Recording(path) as recording:
        segments = [
            (segment.start, segment.end, segment.padded, [(f.time, f.pixels.tobytes()) for f in segment.frames])
            for segment in recording.segments(sampling)
        ]
        return segments, recording.duration, recording.warnings


def read_decoding_all(path: Path, sampling: Sampling = SAMPLING) -> tuple:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampling, "has_target", lambda *_: True)
        return read(path, sampling)


def n_decoded(path: Path, sampling: Sampling = SAMPLING) -> int:
    items = MediaFile(path).decode({"video": "all"}, sampling.has_target)
    return sum(isinstance(item, DecodedFrame) for item in items)


X264 = {"preset": "veryfast", "bf": 3}
CASES = {
    "b-frames.mp4": ({**X264}, 0.65),
    "b-frames.ts": ({**X264}, 0.65),
    "b-frames.mkv": ({**X264}, 0.65),
    "b-frames and short gops.mp4": ({**X264, "gop": FPS}, 0.45),
    "short gops.mp4": ({**X264, "bf": 0, "gop": FPS}, 0.6),
    "shorter gops.mp4": ({**X264, "bf": 0, "gop": FPS // 4}, 0.25),
    "open gops.mp4": ({**X264, "x264-params": "open-gop=1:keyint=20"}, 0.75),
    "open gops.ts": ({**X264, "x264-params": "open-gop=1:keyint=20"}, 0.75),
    "intra refresh.ts": ({**X264, "bf": 0, "x264-params": "intra-refresh=1:keyint=20"}, 1),
    "slices and pyramids.mp4": ({**X264, "x264-params": "slices=3:b-pyramid=strict:bframes=5:b-adapt=0"}, 0.5),
    "interlaced.mp4": ({**X264, "x264-params": "interlaced=1"}, 1),
    "hevc.mp4": ({"codec": "libx265", "preset": "ultrafast", "x265-params": "log-level=none:bframes=4:b-adapt=0"}, 0.6),
    "hevc in short gops.mp4": (
        {"codec": "libx265", "preset": "ultrafast", "x265-params": "log-level=none:keyint=10:open-gop=0:bframes=0"},
        0.6,
    ),
    "hevc in open gops.mkv": (
        {"codec": "libx265", "preset": "ultrafast", "x265-params": "log-level=none:keyint=10:open-gop=1:bframes=3"},
        0.8,
    ),
    "hevc in layers.mp4": (
        {"codec": "libx265", "preset": "fast", "x265-params": "log-level=none:temporal-layers=3:bframes=4:b-adapt=0"},
        1,
    ),
    "mpeg4.mp4": ({"codec": "mpeg4", "bf": 2}, 0.6),
    "mpeg4.avi": ({"codec": "mpeg4", "bf": 2}, 1),
    "mpeg2.mpg": ({"codec": "mpeg2video", "bf": 2, "fps": 25}, 0.8),
    "vp8.webm": ({"codec": "libvpx", "gop": 10, "deadline": "realtime", "auto-alt-ref": 1}, 0.6),
    "vp9.webm": ({"codec": "libvpx-vp9", "gop": 10, "deadline": "realtime", "lag-in-frames": 10}, 0.6),
    "mjpeg.mov": ({"codec": "mjpeg"}, 0.1),
}


@pytest.mark.parametrize("name", CASES)
def test_skipping_packets_changes_no_frame_and_saves_decoding(tmp_path: Path, name: str) -> None:
    options, share = CASES[name]
    path = write_video(tmp_path / name, **options)
    assert read(path) == read_decoding_all(path)
    assert n_decoded(path) <= share * 150 + 2


def test_skipping_packets_changes_no_frame_of_av1(tmp_path: Path) -> None:
    whole, path = write_video(tmp_path / "video.mkv", codec="ffv1"), tmp_path / "av1.mp4"
    # In a process of its own: run by root, SVT-AV1 gives the thread that calls it real-time priority, for ever.
    ffmpeg("-i", whole, "-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1", path)
    assert read(path) == read_decoding_all(path)
    assert n_decoded(path) <= 150 + 2


@given(
    st.fixed_dictionaries(
        {
            "bf": st.integers(0, 8),
            "gop": st.integers(1, 60),
            "preset": st.sampled_from(["ultrafast", "veryfast"]),
            "fps": st.sampled_from([5, 12, 25, 30]),
            "n_frames": st.integers(1, 120),
        }
    ),
    st.sampled_from([".mp4", ".ts", ".mkv"]),
    st.floats(0.1, 3.0),
    st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_skipping_packets_changes_no_frame_for_any_encoder_setting(
    tmp_path_factory, options, suffix, hop, per_segment
) -> None:
    path = write_video(tmp_path_factory.mktemp("video") / f"video{suffix}", **options)
    sampling = Sampling(frame_size=48, hop=hop, frames_per_segment=per_segment)
    assert read(path, sampling) == read_decoding_all(path, sampling)


def test_long_gops_are_not_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MAX_PENDING_PACKETS", 16)
    path = write_video(tmp_path / "video.mp4", **X264)
    assert read(path) == read_decoding_all(path)
    assert n_decoded(path) < 100


def test_after_a_timestamp_jump_everything_is_decoded(tmp_path: Path) -> None:
    whole, broken = write_video(tmp_path / "video.mkv", **X264), tmp_path / "broken.mkv"
    with av.open(whole) as source, av.open(broken, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux() if p.size):
            if number > 75:
                packet.pts += 3_000_000  # 50 minutes in milliseconds
                packet.dts += 3_000_000
            packet.stream = stream
            target.mux(packet)
    assert read(broken) == read_decoding_all(broken)
    assert "timestamps jump; the jumps were removed" in read(broken)[2]


@given(st.floats(0.02, 5), st.integers(1, 8), st.floats(-1, 100), st.floats(0, 10))
def test_has_target_agrees_with_the_target_times(hop: float, per_segment: int, begin: float, length: float) -> None:
    sampling = Sampling(hop=hop, frames_per_segment=per_segment)
    step = hop / per_segment
    targets = (np.arange(int(111 / step) + 2) + 0.5) * step
    assert sampling.has_target(begin, begin + length) == bool(((targets >= begin) & (targets < begin + length)).any())
