"""Test that peaks are the extremes of the samples: those that ffmpeg decodes, and numpy's of long audio."""

import numpy as np
import pytest

from avscene.media.limits import DEFAULT_LIMITS
from avscene.server.previews.decoding import PreviewDecoding
from avscene.server.previews.peaks import HOP, MAX_PEAKS, SAMPLE_RATE, PeakMeter
from tests.support.ffmpeg_program import ffmpeg
from tests.support.processes import ROOT

MEDIA = ROOT.parent / "shared" / "media"
HOP_SAMPLES = round(HOP * SAMPLE_RATE)
ROUNDING = 0.005 + 1e-6  # of two decimals


def assert_extremes(peaks: np.ndarray, samples: np.ndarray, duration: float, tolerance: float) -> None:
    """Check each pair against its part of the samples; it may include up to a fifth of the next part."""
    width = duration / len(peaks) * SAMPLE_RATE
    for k, (low, high) in enumerate(peaks):
        inner = samples[round(k * width) : round((k + 1) * width)]
        outer = samples[max(0, round((k - 0.2) * width)) : round((k + 1.2) * width)]
        if (k + 1) * width > len(samples) - HOP_SAMPLES / 2:
            continue  # the end, which may be missing
        assert outer.min() - tolerance <= low <= inner.min() + tolerance, k
        assert inner.max() - tolerance <= high <= outer.max() + tolerance, k


# The program writes one channel as two of 0.707 times its samples.
@pytest.mark.parametrize(
    ("name", "gain"),
    [
        ("mdn/live-examples/media/cc0-videos/flower.mp4", 1),
        ("mdn/live-examples/media/cc0-videos/friday.mp4", 1),
        ("exoplayer/media/mp4/sample_with_increasing_timestamps_320w_240h.mp4", 1),
        ("torchcodec/test/resources/sine_mono_s32_44100.wav", 2**0.5),
    ],
)
def test_peaks_of_real_media_are_those_of_the_samples_that_ffmpeg_decodes(name: str, gain: float) -> None:
    path = MEDIA / name
    if not path.is_file():
        pytest.skip("needs ../shared/media")
    preview, _ = PreviewDecoding(path, DEFAULT_LIMITS).run()
    raw = ffmpeg("-i", path, "-map", "0:a:0", "-ac", "2", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-")
    samples = np.clip(np.frombuffer(raw, np.float32).reshape(-1, 2).mean(axis=1) * gain, -1, 1)
    assert preview.duration == pytest.approx(len(samples) / SAMPLE_RATE, abs=0.1)
    assert preview.peaks is not None
    assert len(preview.peaks) == min(MAX_PEAKS, -(-round(preview.duration * 1e6) // 1000))
    # resamplers differ in what they do to the loudest samples
    assert_extremes(np.array(preview.peaks), samples, preview.duration, ROUNDING + 0.02)


def meter_of(samples: np.ndarray) -> PeakMeter:
    meter = PeakMeter()
    for number in range(-(-len(samples) // HOP_SAMPLES)):
        part = samples[number * HOP_SAMPLES : (number + 1) * HOP_SAMPLES]
        meter.add(number, np.pad(part, (0, HOP_SAMPLES - len(part))))
    return meter


@pytest.mark.parametrize("seconds", [0.3, 4.096, 65.5, 65.6, 131.3, 301.7])
def test_peaks_of_audio_of_any_length(seconds: float) -> None:
    generator = np.random.default_rng(1)
    envelope = np.repeat(generator.uniform(0, 1, round(seconds * 100)), SAMPLE_RATE // 100)
    samples = (envelope * generator.uniform(-1, 1, len(envelope))).astype(np.float32)
    duration = len(samples) / SAMPLE_RATE
    peaks = meter_of(samples).peaks(duration)
    assert peaks is not None
    assert len(peaks) == min(MAX_PEAKS, round(seconds * 1000))
    assert_extremes(np.array(peaks), samples, duration, ROUNDING)


@pytest.mark.parametrize("hours", [2, 24])
def test_a_click_in_hours_of_audio_is_where_it_is(hours: int) -> None:
    duration = hours * 3600.0
    meter, last = PeakMeter(), round(duration / HOP) - 1
    click = np.zeros(HOP_SAMPLES, np.float32)
    click[HOP_SAMPLES // 2] = -0.5
    for number in (0, last // 3, last):
        meter.add(number, click)
    peaks = meter.peaks(duration)
    assert peaks is not None
    assert len(peaks) == MAX_PEAKS
    found = [k for k, (low, _) in enumerate(peaks) if low]
    expected = [int((number + 0.5) * HOP / duration * MAX_PEAKS) for number in (0, last // 3, last)]
    assert {low for low, _ in peaks} == {0.0, -0.5}
    assert all(min(abs(k - place) for place in expected) <= 1 for k in found)
    assert all(place in found for place in expected)


def test_samples_beyond_full_scale_are_cut() -> None:
    meter = meter_of(np.full(HOP_SAMPLES, 1.5, np.float32))
    assert set(meter.peaks(HOP) or []) == {(1.0, 1.0)}


def test_without_audio_there_are_no_peaks() -> None:
    assert PeakMeter().peaks(10.0) is None
