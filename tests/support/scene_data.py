"""Recordings of three scenes that differ in color and tone, data sets of them, and system `fast` trained on one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avscene.models.device import Runtime
from avscene.training.train import Trained, train_system
from tests.support.media_files import RATE, Writer, write_photograph

CPU = Runtime.choose("cpu", "float32")
# RGB color, and frequency of the tone in Hz, of each scene.
SCENES = {"cave": ((30, 30, 120), 220.0), "furnace": ((210, 80, 30), 900.0), "meadow": ((70, 190, 70), 3000.0)}
RECORDINGS = 4  # of each scene; each is a group and a fold
SECONDS = 2  # of a recording
FPS = 4


def scene_image(scene: str, random: np.random.Generator) -> np.ndarray:
    """Return an image (48, 64, 3) of noisy patches in the scene's color."""
    patches = np.array(SCENES[scene][0]) + random.normal(0, 25, (6, 8, 3))
    return np.clip(patches, 0, 255).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def scene_audio(scene: str, random: np.random.Generator, seconds: float = SECONDS) -> np.ndarray:
    """Return float32 samples (n,) of about the scene's tone, with noise."""
    times = np.arange(round(seconds * RATE)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * SCENES[scene][1] * random.uniform(0.95, 1.05) * times)
    return (tone + 0.02 * random.standard_normal(len(times))).astype(np.float32)


def write_scene(
    path: Path,
    scene: str,
    seed: int | Sequence[int],
    *,
    video: bool = True,
    audio: bool = True,
    seconds: int = SECONDS,
    fps: int = FPS,
) -> Path:
    """Write a recording of a scene; a photograph if `path` is a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    if path.suffix == ".png":
        return write_photograph(path, scene_image(scene, random))
    writer = Writer(path)
    if video:
        images = [scene_image(scene, random) for _ in range(seconds * fps)]
        writer.video(images, [k / fps for k in range(len(images))], fps=fps, gop=4)
    if audio:
        writer.audio(scene_audio(scene, random, seconds), codec="pcm_s16le" if path.suffix == ".wav" else "aac")
    return writer.save()


def write_data(root: Path, scenes: Sequence[str] = tuple(SCENES), recordings: int = RECORDINGS) -> Path:
    """Write a data set with a meta.csv; the n-th recordings of all scenes are fold n."""
    lines = ["path,label,group,fold"]
    for scene in scenes:
        for index in range(recordings):
            name = f"{scene}/{scene}-{index}.mp4"
            write_scene(root / name, scene, 10 * list(SCENES).index(scene) + index)
            lines.append(f"{name},{scene},{scene}{index},{index + 1}")
    (root / "meta.csv").write_text("\n".join(lines) + "\n")
    return root


def train_on(root: Path, output: Path, hop: float = 1.0) -> Trained:
    """Train system `fast` on the data set `root`."""
    return train_system("fast", root, output, holdout=None, hop=hop, runtime=CPU, progress=lambda _: lambda *_: None)
