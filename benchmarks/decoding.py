"""Time decoding of a 720p video to one small frame per second, as networks need it: `python -m benchmarks.decoding`.

OpenCV and torchcodec decode every frame to get one per second; avscene skips frames that no needed frame refers to.
Rows of torchcodec are left out if it finds no FFmpeg.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from avscene.media.sampling import Sampling
from avscene.records import Segment
from benchmarks.harness import Row, Run, comparison_row, duration, main, median, time_in_turn
from benchmarks.reading import ONE_FRAME, SIDE, segments
from benchmarks.videos import benchmark_video, bit_rate

SAMPLE_RATE = 48_000
MAX_DIFFERENCE = 2.0  # mean grey levels: scaling filters differ, the frames must be the same
MIN_CORRELATION = 0.999  # of waveforms
TARGET = 0.95
KEYFRAMES = Sampling(frame_size=SIDE, keyframes_only=True)
BOTH = Sampling(frame_size=SIDE, sample_rate=SAMPLE_RATE)


def opencv(path: Path) -> Any:
    """Return the frames (n, height, width, 3) shown at the middle of each second."""
    video = cv2.VideoCapture(str(path))
    fps = video.get(cv2.CAP_PROP_FPS)
    found: list[Any] = []
    for index in range(int(video.get(cv2.CAP_PROP_FRAME_COUNT))):
        video.grab()
        if index == int((len(found) + 0.5) * fps):
            _, image = video.retrieve()
            scale = SIDE / min(image.shape[:2])
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            found.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    return np.stack(found)


def torchcodec(path: Path) -> Any:
    """Return the same frames, scaled by the decoder, with the default number of threads of ffmpeg."""
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    options: dict[str, Any] = {"dimension_order": "NHWC", "num_ffmpeg_threads": 0, "seek_mode": "approximate"}
    metadata = VideoDecoder(path, **options).metadata
    scale = SIDE / min(metadata.height, metadata.width)
    size = round(metadata.height * scale), round(metadata.width * scale)
    video = VideoDecoder(path, transforms=[Resize(size)], **options)
    return video.get_frames_played_at(np.arange(0.5, metadata.duration_seconds).tolist()).data.numpy()


def torchcodec_both(path: Path) -> tuple[Any, Any]:
    """Return the same frames and mono samples (n_samples,), one after the other: it reads one stream at a time."""
    from torchcodec.decoders import AudioDecoder

    audio = AudioDecoder(path, sample_rate=SAMPLE_RATE, num_channels=1).get_all_samples()
    return torchcodec(path), audio.data[0].numpy()


def torchcodec_works(path: Path) -> bool:
    """Whether it is installed and finds FFmpeg, which it needs when it opens a video."""
    try:
        from torchcodec.decoders import VideoDecoder

        VideoDecoder(path)
    except (ImportError, RuntimeError):
        return False
    return True


def libavcodec(path: Path) -> None:
    """Decode every frame and drop it: the limit for a reader that skips no frames."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    path = benchmark_video(40, quick=quick)
    runs: dict[str, Run] = {
        "one frame per second": lambda: segments(path, ONE_FRAME),
        "keyframes": lambda: segments(path, KEYFRAMES),
        "audio and video": lambda: segments(path, BOTH),
        "libavcodec": lambda: libavcodec(path),
        "OpenCV": lambda: opencv(path),
    }
    peers = {"OpenCV": opencv}
    if torchcodec_works(path):
        runs |= {"torchcodec": lambda: torchcodec(path), "torchcodec, both": lambda: torchcodec_both(path)}
        peers |= {"torchcodec": torchcodec}
    found = segments(path, BOTH)
    differences = {name: check_frames(peer(path), found) for name, peer in peers.items()}
    times = time_in_turn(runs, rounds)
    limit = median(times["libavcodec"])
    video = f"{len(found)} s of {'360p' if quick else '720p'}, {bit_rate(path) / 1e6:.1f} Mbit/s"
    factor = limit / median(times["one frame per second"])
    alone = f"libavcodec alone, every frame: {duration(limit)}, {factor:.2f} times ours"
    for name in peers:
        note = f"frames differ by {differences[name]:.1f} grey levels on average; {alone}"
        yield comparison_row(f"{video}: one frame per second", times, "one frame per second", name, TARGET, note)
    if "torchcodec" in peers:
        check_audio(torchcodec_both(path)[1], found)
        yield comparison_row(f"{video}: audio and video", times, "audio and video", "torchcodec, both", note=alone)
    yield comparison_row(
        f"{video}: keyframes only", times, "keyframes", "one frame per second", note="both are avscene"
    )


def check_frames(frames: Any, found: list[Segment]) -> float:
    """Return the mean absolute difference in grey levels; fail if the frames are not the same."""
    ours = np.stack([segment.frames[0].pixels for segment in found])
    assert ours.shape == frames.shape, (ours.shape, frames.shape)
    difference = float(np.abs(ours.astype(int) - frames).mean())
    assert difference < MAX_DIFFERENCE, difference
    return difference


def check_audio(audio: Any, found: list[Segment]) -> None:
    ours = np.concatenate([segment.waveform for segment in found if segment.waveform is not None])
    n_shared = min(len(ours), len(audio))
    assert n_shared > len(ours) - SAMPLE_RATE, (len(ours), len(audio))
    correlation = float(np.corrcoef(ours[:n_shared], audio[:n_shared])[0, 1])
    assert correlation > MIN_CORRELATION, correlation


if __name__ == "__main__":
    main(rows, __doc__)
