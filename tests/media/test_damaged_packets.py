"""Test that a damaged packet costs its own frame, and that the others are shown."""

from pathlib import Path

import av
import pytest

from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.media_conformance import picture_code
from tests.media_conformance.source import H264, clip

HEVC = ("-c:v", "libx265", "-x265-params", "log-level=none:keyint=4:scenecut=0:bframes=0")
ZEROED = 22  # number of the packet and its frame: the one at the middle of the segment from 4 s on


def zero_packet(source: Path, target: Path) -> Path:
    """Copy a video, with zeros in place of one packet."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as damaged:
        stream = damaged.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if packet.size:
                copy = av.Packet(bytes(packet.size) if number == ZEROED else bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.duration, copy.is_keyframe, copy.stream = packet.duration, packet.is_keyframe, stream
                damaged.mux(copy)
    return target


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_packet_of_zeros_costs_one_frame(tmp_path: Path, codec: str, suffix: str) -> None:
    video = (*H264, "-bf", 0) if codec == "h264" else HEVC
    whole = clip(f"whole{suffix}", video=video, audio=None)(tmp_path)
    with Recording(zero_packet(whole, tmp_path / f"a{suffix}")) as recording:
        segments = list(recording.segments(Sampling(frame_size=96)))
    shown = [picture_code.read(segment.frames[0].pixels) for segment in segments]
    assert shown == [(number, "upright") for number in (2, 7, 12, 17, ZEROED - 1, 27, 32, 37)]
    assert recording.warnings == ("1 damaged packet skipped",)
