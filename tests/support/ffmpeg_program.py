"""Run the ffmpeg program, which makes test files and is the reference of decoding."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt


def _run(level: str, arguments: tuple[str | Path, ...]) -> "subprocess.CompletedProcess[bytes]":
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", level, "-nostdin", "-y"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, check=False, timeout=120)


def ffmpeg(*arguments: str | Path, check: bool = True) -> bytes:
    """Run ffmpeg with these arguments; return what it wrote to standard output. Unless `check`, it may fail."""
    done = _run("error", arguments)
    assert done.returncode == 0 or not check, done.stderr.decode(errors="replace")
    return done.stdout


def ffmpeg_messages(*arguments: str | Path) -> str:
    """Run ffmpeg with these arguments, whether it fails or not; return its messages, those of filters too."""
    return _run("info", arguments).stderr.decode(errors="replace")


def ffmpeg_frames(path: Path, width: int, height: int, *options: str) -> npt.NDArray[np.uint8]:
    """Return every frame of the video as ffmpeg decodes it, (n, height, width, 3) in RGB, without scaling."""
    raw = ffmpeg(
        "-i", path, "-map", "0:v:0", *options, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
