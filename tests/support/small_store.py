"""A store of three scenes with distinct colours and tones, small enough to train on in seconds, and plans for it."""

from pathlib import Path
from typing import Any

import numpy as np

from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.features.logmel import LogMelSpec
from avscene.training.fine_tuning.plan import NetworkPlan
from tests.support.media_files import RATE, Writer

# Colour, and Hz of the tone, of each scene.
SCENES = {"cave": ((30, 30, 120), 220.0), "furnace": ((210, 80, 30), 900.0), "meadow": ((70, 190, 70), 3000.0)}
TAKES = 4  # recordings of each scene, each a group and a fold of its own
SECONDS = 3
LOG_MEL = LogMelSpec(RATE, n_fft=512, hop_length=250, n_mels=32, f_min=0.0, f_max=RATE / 2)
SPEC = StoreSpec(sample_rate=RATE, frame_size=48)
_FPS = 6
# Settings of a plan without augmentation.
CLEAN: dict[str, Any] = {
    "mixup": 0.0,
    "audio": {"random_crop": False, "time_shift": 0.0, "frequency_masks": 0, "time_masks": 0},
    "frames": {"random_frame": False, "crop_scale": (1.0, 1.0), "flip": 0.0, "rand_augment": 0},
}


def write_data(root: Path, *, silent: str = "", blind: str = "") -> Path:
    """Write recordings and a meta.csv with takes as folds; `silent` names one without audio, `blind` without video."""
    lines = ["path,label,group,fold"]
    for index, (scene, (colour, hertz)) in enumerate(SCENES.items()):
        for take in range(1, TAKES + 1):
            name = f"{scene}-{take}"
            suffix = ".wav" if name == blind else ".mp4"
            random = np.random.default_rng([index, take])
            writer = Writer(_made(root / f"{name}{suffix}"))
            if name != blind:
                patches = [np.array(colour) + random.normal(0, 25, (6, 8, 3)) for _ in range(SECONDS * _FPS)]
                images = [np.clip(patch, 0, 255).astype(np.uint8).repeat(8, 0).repeat(8, 1) for patch in patches]
                writer.video(images, [k / _FPS for k in range(len(images))], fps=_FPS, gop=4)
            if name != silent:
                times = np.arange(SECONDS * RATE) / RATE
                tone = 0.3 * np.sin(2 * np.pi * hertz * random.uniform(0.95, 1.05) * times)
                audio = (tone + 0.02 * random.standard_normal(len(times))).astype(np.float32)
                writer.audio(audio, codec="pcm_s16le" if suffix == ".wav" else "aac")
            writer.save()
            lines.append(f"{name}{suffix},{scene},{name},{take}")
    (root / "meta.csv").write_text("\n".join(lines) + "\n")
    return root


def make_store(root: Path, **absent: str) -> SegmentStore:
    """Write the recordings and prepare their store."""
    return prepare(read_dataset(write_data(root / "data", **absent)), root / "store", SPEC).store


def train_and_validation_rows(store: SegmentStore) -> tuple[list[int], list[int]]:
    """Return the rows to train on and those of the last take, to validate on."""
    valid = store.rows(f"fold={TAKES}").tolist()
    return [row for row in range(len(store)) if row not in valid], valid


def plan(kind: str, **changes: Any) -> NetworkPlan:
    """Return a plan that trains in seconds; `changes` replace its settings."""
    settings: dict[str, Any] = {
        "name": "small",
        "input": kind,
        "backbone": "tf_efficientnet_lite0",
        "image_size": (32, 32),
        "log_mel": LOG_MEL,
        "epochs": 2,
        "batch": 8,
        "micro_batch": 4,
        "learning_rate": 1e-3,
        "ema_decay": 0.8,
        "seed": 7,
    }
    return NetworkPlan(**settings | changes)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
