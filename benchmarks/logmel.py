"""Time log-mels beside librosa, and their share in the time of `classify`: `python -m benchmarks.logmel`.

avscene computes in double precision, librosa in its default, single precision, which is faster.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avscene.features.logmel import log_mel
from avscene.fusion.rules import Mean
from avscene.fusion.tree import Fusion
from avscene.inference import BATCH_SIZE, System
from avscene.labels import TAU_SCENES
from avscene.models import SceneModel
from avscene.models.cnn.audio_cnn import LOG_MEL, AudioCnn, LogMelNetwork
from avscene.models.cnn.backbones import backbone_frame_spec
from avscene.models.cnn.frame_cnn import FrameCnn
from avscene.models.device import Runtime
from benchmarks import librosa_log_mel
from benchmarks.harness import Row, comparison_row, main, median, time_in_turn
from benchmarks.random_weights import backbone, blurred_noise
from benchmarks.videos import audio_block, benchmark_video

# Backbones of the audio and the video networks of a system: log-mels take the largest share beside small networks.
SYSTEMS = {
    "smallest network for audio and for video": ("tf_efficientnet_lite0",),
    "small networks in place of those of E02": tuple(f"tf_efficientnet_lite{size}" for size in range(3)),
}
SIDE = 224  # pixels of the images that random weights are made for
MAX_DIFFERENCE = 1e-3  # dB
TARGET = 1.2
TARGET_SHARE = 50  # the time of classify over that of log-mels: at most 2 % for log-mels
MAX_ROUNDS = 3  # of an hour of audio each


def audio(seconds: int) -> Tensor:
    """Return (seconds, samples per second) float32: a minute, repeated."""
    rate = LOG_MEL.sample_rate
    minute = [audio_block(second * rate, (second + 1) * rate).to_ndarray()[0] for second in range(60)]
    return torch.from_numpy(np.stack(minute)[np.arange(seconds) % 60])


def by_avscene(waveforms: Tensor) -> Iterator[Tensor]:
    """Yield log-mels (BATCH_SIZE, n_mels, n_times) in dB, as many at a time as models take together."""
    return (log_mel(part, LOG_MEL) for part in torch.split(waveforms, BATCH_SIZE))


def by_librosa(waveforms: Tensor) -> Iterator[Any]:
    """Yield log-mels (n_mels, n_times) in dB, one at a time, which is faster than many."""
    return (librosa_log_mel.log_mel(waveform, LOG_MEL) for waveform in waveforms.numpy())


def exhaust(items: Iterator[Any]) -> None:
    for _ in items:
        pass


def random_system(backbones: Sequence[str]) -> System:
    """Return a system of audio and video networks with random weights, on which its speed does not depend."""
    runtime = Runtime.choose("cpu")
    bands = torch.zeros(LOG_MEL.n_mels)
    models: list[SceneModel] = []
    for name in backbones:
        network = LogMelNetwork(backbone(name, blurred_noise(SIDE)), bands, bands + 1, image_size=None)
        models.append(AudioCnn(f"{name}-on-log-mels", TAU_SCENES, network, LOG_MEL, runtime))
        models.append(
            FrameCnn(
                f"{name}-on-frames", TAU_SCENES, backbone(name, blurred_noise(SIDE)), backbone_frame_spec(name), runtime
            )
        )
    members = tuple(model.name for model in models)
    return System("random", TAU_SCENES, tuple(models), Fusion(name="random", members=members, rule=Mean()))


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    yield beside_librosa(min(rounds, MAX_ROUNDS), 6 if quick else 3600)
    path = benchmark_video(40, quick=quick)
    for description, backbones in list(SYSTEMS.items())[: 1 if quick else None]:
        yield share(rounds, path, description, random_system(backbones))


def beside_librosa(rounds: int, n_seconds: int) -> Row:
    waveforms = audio(n_seconds)
    ours, theirs = torch.cat(list(by_avscene(waveforms[:60]))).numpy(), np.stack(list(by_librosa(waveforms[:60])))
    difference = float(np.abs(ours - theirs).max())
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert difference < MAX_DIFFERENCE, difference
    runs = {"avscene": lambda: exhaust(by_avscene(waveforms)), "librosa": lambda: exhaust(by_librosa(waveforms))}
    name = f"log-mels of {n_seconds:,} seconds at {LOG_MEL.sample_rate // 1000} kHz"
    note = f"differ by at most {difference:.0e} dB"
    return comparison_row(name, time_in_turn(runs, rounds), "avscene", "librosa", TARGET, note)


def share(rounds: int, path: Path, description: str, system: System) -> Row:
    """Compare the time of classifying a video with that of its log-mels."""
    waveforms = audio(len(system.classify(path).segments))
    runs = {"log-mels": lambda: exhaust(by_avscene(waveforms)), "classify": lambda: system.classify(path)}
    times = time_in_turn(runs, rounds)
    part = median(times["log-mels"]) / median(times["classify"])
    note = f"log-mels take {part:.1%} of the time; {description} (random weights)"
    return comparison_row(f"log-mels in {len(waveforms)} s of video", times, "log-mels", "classify", TARGET_SHARE, note)


if __name__ == "__main__":
    main(rows, __doc__)
