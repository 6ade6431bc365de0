"""Test that audio and video come from the same programme of a transport stream."""

from pathlib import Path

import numpy as np
import pytest

from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.support.ffmpeg_program import ffmpeg

RATE = 16000
PATTERN, PLAIN = "testsrc2=size=160x96:rate=10:duration=4", "color=red:size=64x48:rate=10:duration=4"


@pytest.mark.parametrize("videos", [(PATTERN, PLAIN), (PLAIN, PATTERN)])
def test_audio_is_that_of_the_programme_of_the_video(tmp_path: Path, videos: tuple[str, str]) -> None:
    """Of the first programme the audio is mono, of the second stereo, which ffmpeg would prefer by itself."""
    sounds = ("sine=400:duration=4", "sine=900:duration=4,pan=stereo|c0=c0|c1=c0")
    inputs = [argument for source in (*videos, *sounds) for argument in ("-f", "lavfi", "-i", source)]
    maps = [argument for number in range(4) for argument in ("-map", str(number))]
    programmes = ("-program", "program_num=1:st=0:st=2", "-program", "program_num=2:st=1:st=3")
    codecs = (
        "-c:v",
        "mpeg2video",
        "-b:v:0",
        "400k",
        "-b:v:1",
        "400k",
        "-c:a",
        "mp2",
        "-b:a:0",
        "64k",
        "-b:a:1",
        "192k",
    )
    ffmpeg(*inputs, *maps, *codecs, *programmes, tmp_path / "a.ts")
    with Recording(tmp_path / "a.ts") as recording:
        segments = list(recording.segments(Sampling(sample_rate=RATE, frame_size=48)))
    shows_pattern = segments[1].frames[0].pixels.std(axis=(0, 1)).max() > 20
    tone = 400 if videos[0] == (PATTERN if shows_pattern else PLAIN) else 900
    waveform = segments[1].waveform
    assert waveform is not None
    assert np.abs(np.fft.rfft(waveform)).argmax() == pytest.approx(tone, abs=3)
