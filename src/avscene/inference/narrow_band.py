"""Warn of audio of a lower bandwidth or depth than models use."""

from collections.abc import Iterator, Sequence

from avscene.models import SceneModel
from avscene.records import AudioSource

MIN_RATE = 0.9  # of the sample rate that a model uses: 44.1 kHz holds what is audible of 48 kHz


def narrow_band_warnings(models: Sequence[SceneModel], source: AudioSource | None) -> Iterator[str]:
    """Yield a warning if audio stored as `source` lacks frequencies that a model uses, or precision."""
    used = max((model.sample_rate for model in models if model.sample_rate is not None), default=0)
    if source is None or not used:
        return
    limits = [f"a sample rate of {source.rate} Hz (the system uses {used} Hz)"] if source.rate < MIN_RATE * used else []
    limits += [f"{source.bits} bits per sample"] if source.bits is not None else []
    if limits:
        yield f"the audio has {' and '.join(limits)}: predictions from it are less reliable"
