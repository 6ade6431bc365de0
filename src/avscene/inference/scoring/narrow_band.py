"""Warn of audio of a lower bandwidth or depth than a system was trained on."""

from collections.abc import Iterator

from avscene.records import AudioSource

MIN_RATE = 0.9  # of the sample rate in training: 44.1 kHz has nearly all frequencies of 48 kHz


def narrow_band_warnings(trained_rate: int, source: AudioSource | None) -> Iterator[str]:
    """Yield a warning if scored audio, stored as `source`, has a lower sample rate than in training, or few bits."""
    if source is None:
        return
    limits = []
    if source.rate < MIN_RATE * trained_rate:
        limits.append(f"a sample rate of {source.rate} Hz (the system was trained on {trained_rate} Hz)")
    if source.bits is not None:
        limits.append(f"{source.bits} bits per sample")
    if limits:
        yield f"the audio has {' and '.join(limits)}: predictions from it are less reliable"
