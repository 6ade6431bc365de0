"""A 720p film to one small frame a second, as networks want it: `python -m benchmarks.decoding`.

OpenCV and torchcodec decode every frame to get at one a second; avscene leaves out those that no other frame hangs on.
torchcodec's rows are left out where it finds no FFmpeg.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from avscene.media.segments import Sampling
from avscene.records import Segment
from benchmarks.clips import bit_rate, cached
from benchmarks.harness import Row, Run, compared, duration, in_turn, main, median
from benchmarks.reading import PICTURE, SIDE, segments

SAMPLE_RATE = 48_000
MOST_APART = 2.0  # grey levels, on average: scaling filters differ, the frames must not
LEAST_ALIKE = 0.999  # correlation of waveforms
LEAST = 0.95
KEY_FRAMES = Sampling(frame_size=SIDE, keyframes_only=True)
BOTH = Sampling(frame_size=SIDE, sample_rate=SAMPLE_RATE)


def opencv(path: Path) -> Any:
    """Frames (n, height, width, 3) shown at the middle of each second."""
    film = cv2.VideoCapture(str(path))
    fps = film.get(cv2.CAP_PROP_FPS)
    found: list[Any] = []
    for index in range(int(film.get(cv2.CAP_PROP_FRAME_COUNT))):
        film.grab()
        if index == int((len(found) + 0.5) * fps):
            _, image = film.retrieve()
            scale = SIDE / min(image.shape[:2])
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            found.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    return np.stack(found)


def torchcodec(path: Path) -> Any:
    """The same, scaled by its decoder, with as many threads as ffmpeg likes."""
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    options: dict[str, Any] = {"dimension_order": "NHWC", "num_ffmpeg_threads": 0, "seek_mode": "approximate"}
    told = VideoDecoder(path, **options).metadata
    scale = SIDE / min(told.height, told.width)
    film = VideoDecoder(path, transforms=[Resize((round(told.height * scale), round(told.width * scale)))], **options)
    return film.get_frames_played_at(np.arange(0.5, told.duration_seconds).tolist()).data.numpy()


def torchcodec_both(path: Path) -> tuple[Any, Any]:
    """The same and the sound (n_samples,), mono: one after the other, it reads a stream at a time."""
    from torchcodec.decoders import AudioDecoder

    audio = AudioDecoder(path, sample_rate=SAMPLE_RATE, num_channels=1).get_all_samples()
    return torchcodec(path), audio.data[0].numpy()


def torchcodec_works(path: Path) -> bool:
    """Whether it is installed and finds FFmpeg, which it looks for when a film is opened."""
    try:
        from torchcodec.decoders import VideoDecoder

        VideoDecoder(path)
    except (ImportError, RuntimeError):
        return False
    return True


def libavcodec(path: Path) -> None:
    """Every frame decoded and let go: the least for a reader that leaves none out."""
    with av.open(str(path)) as film:
        film.streams.video[0].thread_type = "AUTO"
        for _ in film.decode(video=0):
            pass


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    path = cached(3, 640, 360) if quick else cached(40)
    runs: dict[str, Run] = {
        "a frame a second": lambda: segments(path, PICTURE),
        "key frames": lambda: segments(path, KEY_FRAMES),
        "sound and picture": lambda: segments(path, BOTH),
        "libavcodec": lambda: libavcodec(path),
        "OpenCV": lambda: opencv(path),
    }
    peers = {"OpenCV": opencv}
    if torchcodec_works(path):
        runs |= {"torchcodec": lambda: torchcodec(path), "torchcodec, both": lambda: torchcodec_both(path)}
        peers |= {"torchcodec": torchcodec}
    found = segments(path, BOTH)
    apart = {name: check_pictures(peer(path), found) for name, peer in peers.items()}
    taken = in_turn(runs, rounds)
    bound = median(taken["libavcodec"])
    film = f"{len(found)} s of {'360p' if quick else '720p'}, {bit_rate(path) / 1e6:.1f} Mbit/s"
    alone = f"libavcodec alone, every frame: {duration(bound)}, {bound / median(taken['a frame a second']):.2f} of ours"
    for name in peers:
        note = f"frames differ by {apart[name]:.1f} grey levels on average; {alone}"
        yield compared(f"{film}: a frame a second", taken, "a frame a second", name, LEAST, note)
    if "torchcodec" in peers:
        check_sound(torchcodec_both(path)[1], found)
        yield compared(f"{film}: sound and picture", taken, "sound and picture", "torchcodec, both", note=alone)
    yield compared(f"{film}: key frames only", taken, "key frames", "a frame a second", note="both are avscene")


def check_pictures(pictures: Any, found: list[Segment]) -> float:
    """Mean absolute difference in grey levels, which must be that of the same frames."""
    ours = np.stack([segment.frames[0].pixels for segment in found])
    assert ours.shape == pictures.shape, (ours.shape, pictures.shape)
    apart = float(np.abs(ours.astype(int) - pictures).mean())
    assert apart < MOST_APART, apart
    return apart


def check_sound(audio: Any, found: list[Segment]) -> None:
    ours = np.concatenate([segment.waveform for segment in found if segment.waveform is not None])
    shared = min(len(ours), len(audio))
    assert shared > len(ours) - SAMPLE_RATE, (len(ours), len(audio))
    alike = float(np.corrcoef(ours[:shared], audio[:shared])[0, 1])
    assert alike > LEAST_ALIKE, alike


if __name__ == "__main__":
    main(rows, __doc__)
