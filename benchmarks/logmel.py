"""Log-mels of an hour beside librosa's, and their share in the time of `classify`: `python -m benchmarks.logmel`.

avscene computes in double precision; librosa in single precision, which is its default and quicker.
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
from avscene.models.cnn.backbones import frame_spec
from avscene.models.cnn.frame_cnn import FrameCnn
from avscene.models.device import Runtime
from benchmarks import plain_log_mel
from benchmarks.clips import cached, hum
from benchmarks.harness import Row, compared, in_turn, main, median
from benchmarks.random_weights import backbone, blurred_noise

# What hears and what sees in a system: beside few and small networks log-mels take the largest share.
SYSTEMS = {
    "the smallest network for each of sound and picture": ("tf_efficientnet_lite0",),
    "the small networks that stand in for those of E02": tuple(f"tf_efficientnet_lite{size}" for size in range(3)),
}
SIDE = 224  # pixels of the images that random weights are made for
MOST_APART = 1e-3  # dB
LEAST = 1.2
LEAST_PARTS = 50  # of the time of classifying: 2 % at most
ROUNDS = 3  # at most, of an hour each


def audio(seconds: int) -> Tensor:
    """(seconds, samples of a second) float32; a minute over and over."""
    rate = LOG_MEL.sample_rate
    minute = [hum(second * rate, (second + 1) * rate).to_ndarray()[0] for second in range(60)]
    return torch.from_numpy(np.stack(minute)[np.arange(seconds) % 60])


def by_avscene(waveforms: Tensor) -> Iterator[Tensor]:
    """Log-mels (BATCH_SIZE, n_mels, n_times) in dB, as many at a time as are scored together."""
    return (log_mel(part, LOG_MEL) for part in torch.split(waveforms, BATCH_SIZE))


def by_librosa(waveforms: Tensor) -> Iterator[Any]:
    """Log-mels (n_mels, n_times) in dB, one at a time, which is quicker than many."""
    return (plain_log_mel.log_mel(waveform, LOG_MEL) for waveform in waveforms.numpy())


def used_up(items: Iterator[Any]) -> None:
    for _ in items:
        pass


def random_system(backbones: Sequence[str]) -> System:
    """Networks that hear and networks that see, with random weights: how long they take does not depend on those."""
    runtime = Runtime.choose("cpu")
    bands = torch.zeros(LOG_MEL.n_mels)
    models: list[SceneModel] = []
    for name in backbones:
        ears = LogMelNetwork(backbone(name, blurred_noise(SIDE)), bands, bands + 1, image_size=None)
        models.append(AudioCnn(f"{name}-on-log-mels", TAU_SCENES, ears, LOG_MEL, runtime))
        models.append(
            FrameCnn(f"{name}-on-frames", TAU_SCENES, backbone(name, blurred_noise(SIDE)), frame_spec(name), runtime)
        )
    members = tuple(model.name for model in models)
    return System("random", TAU_SCENES, tuple(models), Fusion(name="random", members=members, rule=Mean()))


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    yield beside_librosa(min(rounds, ROUNDS), 6 if quick else 3600)
    film = cached(3, 640, 360) if quick else cached(40)
    for what, backbones in SYSTEMS.items():
        yield share(rounds, film, what, random_system(backbones))


def beside_librosa(rounds: int, n_seconds: int) -> Row:
    waveforms = audio(n_seconds)
    ours, theirs = torch.cat(list(by_avscene(waveforms[:60]))).numpy(), np.stack(list(by_librosa(waveforms[:60])))
    apart = float(np.abs(ours - theirs).max())
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert apart < MOST_APART, apart
    runs = {"avscene": lambda: used_up(by_avscene(waveforms)), "librosa": lambda: used_up(by_librosa(waveforms))}
    what = f"log-mels of {n_seconds:,} seconds at {LOG_MEL.sample_rate // 1000} kHz"
    note = f"differ by {apart:.0e} dB at most"
    return compared(what, in_turn(runs, rounds), "avscene", "librosa", LEAST, note)


def share(rounds: int, film: Path, what: str, system: System) -> Row:
    """How many times as long as its log-mels classifying takes."""
    waveforms = audio(len(system.classify(film).segments))
    runs = {"log-mels": lambda: used_up(by_avscene(waveforms)), "classify": lambda: system.classify(film)}
    taken = in_turn(runs, rounds)
    part = median(taken["log-mels"]) / median(taken["classify"])
    note = f"log-mels are {part:.1%} of it; {what} (random weights)"
    return compared(f"log-mels in {len(waveforms)} s of film", taken, "log-mels", "classify", LEAST_PARTS, note)


if __name__ == "__main__":
    main(rows, __doc__)
