"""Make a store of the three scenes, small enough to train on in seconds, and plans for its training."""

from pathlib import Path
from typing import Any

from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.features.logmel import LogMelSpec
from avscene.training.fine_tuning.plan import NetworkPlan
from tests.support.media_files import RATE
from tests.support.scene_data import RECORDINGS, SCENES, write_scene

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


def write_data(root: Path, *, without_audio: str = "", without_video: str = "") -> Path:
    """Write recordings whose n-th of each scene are fold n; one can lack audio, one video, by name such as cave-1."""
    lines = ["path,label,group,fold"]
    for index, scene in enumerate(SCENES):
        for number in range(1, RECORDINGS + 1):
            name = f"{scene}-{number}"
            video, audio = name != without_video, name != without_audio
            file = f"{name}.mp4" if video else f"{name}.wav"
            write_scene(root / file, scene, [index, number], video=video, audio=audio, seconds=SECONDS, fps=_FPS)
            lines.append(f"{file},{scene},{name},{number}")
    (root / "meta.csv").write_text("\n".join(lines) + "\n")
    return root


def make_store(root: Path, **without: str) -> SegmentStore:
    """Write the recordings and prepare their store."""
    return prepare(read_dataset(write_data(root / "data", **without)), root / "store", SPEC).store


def train_and_validation_rows(store: SegmentStore) -> tuple[list[int], list[int]]:
    """Return the rows to train on and those of the last fold, to validate on."""
    valid = store.rows(f"fold={RECORDINGS}").tolist()
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
