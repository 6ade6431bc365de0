"""Compute log-mel spectrograms with librosa."""

import librosa

from avscene.features.logmel import LogMelSpec
from avscene.records import FloatArray


def log_mel(waveform: FloatArray, spec: LogMelSpec) -> FloatArray:
    """Return log-mels (n_mels, n_times) in dB of samples (n_samples,), in the precision of the samples."""
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        n_mels=spec.n_mels,
        fmin=spec.f_min,
        fmax=spec.f_max,
        htk=False,
        norm="slaney",
        center=True,
        pad_mode="constant",
        dtype=waveform.dtype,
    )
    return librosa.power_to_db(power, ref=1.0, amin=10 ** (spec.floor_db / 10), top_db=None)
