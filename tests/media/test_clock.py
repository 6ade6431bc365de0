"""Test the laws of a file's clock on the packets of a real transport stream whose timestamps are changed."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from av import Packet
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from avscene.media.packets.clock import FileClock
from tests.support import media_files as make

SECONDS, N_STREAMS = 8, 2
TICKS = 90000  # per second


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make.write_media(tmp_path_factory.mktemp("clock") / "a.ts", SECONDS, gop=25)


def corrected(path: Path, change: Callable[[int, Packet], int]) -> tuple[list[tuple[int, int, int]], FileClock]:
    """Return stream, decoding time and time of showing of each packet, after `change` ticks were added to it."""
    with av.open(path) as container:
        clock = FileClock(container.streams.get(video=0, audio=0), may_restart=True)
        packets = [packet for packet in container.demux() if packet.size]
        for number, packet in enumerate(packets):
            ticks = change(number, packet)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return [(p.stream_index, p.dts, p.pts) for p in clock.correct(packets)], clock


def test_regular_timestamps_stay_as_they_are(path):
    with av.open(path) as container:
        expected = [(p.stream_index, p.dts, p.pts) for p in container.demux() if p.size]
    times, clock = corrected(path, lambda *_: 0)
    assert times == expected
    assert (clock.n_jumps, clock.n_wrong) == (0, 0)


@settings(deadline=None, max_examples=30)
@given(number=st.integers(0, 300), seconds=st.floats(-2000, 2000))
def test_one_wrong_timestamp_moves_no_other_packet(path, number, seconds):
    assume(abs(seconds) > 1.2)
    expected, _ = corrected(path, lambda *_: 0)
    number %= len(expected)
    assume(number > 10 or not -10.5 < seconds < 0)  # a first packet before the others may be right: a pause
    times, clock = corrected(path, lambda n, _: round(seconds * TICKS) if n == number else 0)
    assert times[:number] + times[number + 1 :] == expected[:number] + expected[number + 1 :]
    assert abs(times[number][1] - expected[number][1]) < 0.1 * TICKS
    assert (clock.n_jumps, clock.n_wrong) == (0, 1)


@settings(deadline=None, max_examples=30)
@given(number=st.integers(20, 300), seconds=st.floats(-80000, 80000))
def test_a_common_jump_is_removed_and_streams_keep_their_distance(path, number, seconds):
    assume(not -1.5 < seconds < 10.5)
    expected, _ = corrected(path, lambda *_: 0)
    assume(number < len(expected) - 20)
    times, clock = corrected(path, lambda n, _: round(seconds * TICKS) if n >= number else 0)
    moves = {time[1] - before[1] for time, before in zip(times, expected, strict=True)}
    assert clock.n_jumps == 1
    assert len(moves) <= 2  # 0 before the jump, one other number after it
    assert all(
        abs(move) < 0.3 * TICKS for move in moves
    )  # parts of a second that overlap in the file follow each other


@settings(deadline=None, max_examples=20)
@given(number=st.integers(20, 300), seconds=st.floats(-1000, 1000), stream=st.integers(0, N_STREAMS - 1))
def test_a_stream_that_jumps_alone_continues_where_it_was(path, number, seconds, stream):
    assume(not -1.5 < seconds < 10.5)
    expected, _ = corrected(path, lambda *_: 0)
    last = max(n for n, time in enumerate(expected) if time[0] == stream)
    assume(number < last - 60)

    def change(n: int, packet: Packet) -> int:
        return round(seconds * TICKS) if n >= number and packet.stream_index == stream else 0

    times, _ = corrected(path, change)
    for time, before in zip(times, expected, strict=True):
        assert abs(time[1] - before[1]) < 0.3 * TICKS
