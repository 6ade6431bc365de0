"""Compare what was read from a file with what is expected."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avscene.records import Segment
from tests.media_conformance import picture_code, tones
from tests.media_conformance.case import Expected, Played, Shown

RATE = 16000  # Hz of the waveforms that are read
MIN_LEVEL = 0.11  # root mean square of a segment with a tone; that of a whole tone is 0.28
PADDED = "was padded"  # part of the warning of a last segment that is shorter than 1 s


@dataclass(frozen=True)
class Reading:
    """What was read from one file: the segments, or the message with which it was refused; a store has no duration."""

    duration: float | None
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...]
    error: str | None = None


def deviations(reading: Reading, expected: Expected, keyframes: bool) -> list[str]:
    """Return what is wrong with a reading, in words; nothing if it is right."""
    if expected.error is not None:
        if reading.error is None:
            return [f"was read, but must be refused: {expected.error!r}"]
        return [] if expected.error in reading.error else [f"was refused with {reading.error!r}"]
    if reading.error is not None:
        return [f"was refused: {reading.error}"]
    found = [*time_deviations(reading.duration, [(s.start, s.end) for s in reading.segments], expected)]
    found += warning_deviations(reading.warnings, expected)
    if len(reading.segments) != expected.n_segments:
        return found
    shown = expected.keyframes if keyframes and expected.keyframes is not None else expected.frames
    found += _frame_deviations(reading.segments, shown or (None,) * expected.n_segments, expected)
    found += _tone_deviations(reading.segments, expected)
    return found + _colour_deviations(reading.segments, expected)


def time_deviations(
    duration: float | None, spans: Sequence[tuple[float, float]], expected: Expected, *, video_only: bool = False
) -> list[str]:
    """Return what is wrong with the duration (unless None), and with the number and the times of segments.

    `video_only`: segments without a frame were left out.
    """
    found = []
    if duration is not None and abs(duration - expected.duration) > expected.tolerance:
        found.append(f"duration {duration:.2f} s, expected {expected.duration:.2f}")
    count = expected.n_segments
    wanted = [(k, min(k + 1, expected.duration)) for k in range(count)]
    if video_only:
        wanted = [span for span, frame in zip(wanted, expected.frames, strict=True) if frame is not None]
    if len(spans) != len(wanted):
        return [*found, f"{len(spans)} segments, expected {len(wanted)}"]
    if not np.allclose(spans, wanted, atol=expected.tolerance):
        found.append(f"segments {spans}, expected {wanted}")
    return found


def warning_deviations(warnings: Sequence[str], expected: Expected) -> list[str]:
    """Return the warnings that are missing, and those that are too many."""
    if expected.warnings is None:
        return []
    found = [f"no warning {part!r}" for part in expected.warnings if not any(part in w for w in warnings)]
    known = (*expected.warnings, PADDED)
    return found + [f"warning {w!r}" for w in warnings if not any(part in w for part in known)]


def _describe(segment: Segment) -> Shown | str:
    if not segment.frames:
        return None
    code = picture_code.read(segment.frames[0].pixels)
    if code is None:
        return "unreadable"
    number, orientation = code
    return number if orientation == "upright" else f"{number} ({orientation})"


def _matches(shown: Shown | str, wanted: Shown) -> bool:
    if wanted is ...:
        return True
    return shown in wanted if isinstance(wanted, tuple) else shown == wanted


def _frame_deviations(segments: Sequence[Segment], wanted: Sequence[Shown], expected: Expected) -> list[str]:
    shown = [_describe(segment) for segment in segments]
    found = []
    if not all(map(_matches, shown, wanted)):
        found.append(f"frames {_join(shown)}, expected {_join(wanted)}")
    shapes = {frame.pixels.shape[:2] for segment in segments for frame in segment.frames}
    if expected.shape is not None and any(np.abs(np.subtract(s, expected.shape)).max() > 1 for s in shapes):
        found.append(f"frames of {sorted(shapes)}, expected {expected.shape}")
    return found


def _tone_deviations(segments: Sequence[Segment], expected: Expected) -> list[str]:
    wanted: Sequence[Played] = expected.tones or (None,) * len(segments)
    if not expected.tones and any(segment.waveform is not None for segment in segments):
        return ["audio where the file has none"]
    played: list[int | None] = []
    found = []
    for number, segment in enumerate(segments):
        waveform = segment.waveform
        if waveform is None or not np.isfinite(waveform).all() or tones.level(waveform) < 1e-3:
            played.append(None)
            continue
        second, purity = tones.read(waveform, RATE)
        if wanted[number] is None and tones.level(waveform) < tones.QUIET:
            played.append(None)
            continue
        played.append(second)
        if isinstance(wanted[number], int):
            if purity < expected.purity:
                found.append(f"segment {number} holds only {purity:.2f} of its tone")
            if expected.level is None and tones.level(waveform) < MIN_LEVEL:
                found.append(f"segment {number} is nearly silent ({tones.level(waveform):.3f})")
            if isinstance(expected.level, float) and abs(tones.level(waveform) / expected.level - 1) > 0.2:
                found.append(f"segment {number} has level {tones.level(waveform):.3f}, expected {expected.level:.3f}")
    if not all(want is ... or got == want for got, want in zip(played, wanted, strict=True)):
        found.insert(0, f"tones {_join(played)}, expected {_join(wanted)}")
    return found


def _colour_deviations(segments: Sequence[Segment], expected: Expected) -> list[str]:
    found = []
    for (x, y), wanted in expected.colours.items():
        pixels = segments[0].frames[0].pixels if segments[0].frames else np.zeros((1, 1, 3))
        row, column = int(y * pixels.shape[0]), int(x * pixels.shape[1])
        colour = tuple(int(value) for value in pixels[row, column])
        if np.abs(np.subtract(colour, wanted)).max() > expected.colour_tolerance:
            found.append(f"colour {colour} at ({x:g}, {y:g}), expected {wanted}")
    return found


def _join(values: Sequence[object]) -> str:
    words = ["-" if value is None else "any" if value is ... else str(value) for value in values]
    return " ".join(words) if len(words) <= 12 else " ".join([*words[:12], "..."])
