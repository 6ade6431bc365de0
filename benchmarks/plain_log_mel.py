"""A second's log-mel as librosa makes it, in single precision, its default."""

import librosa

from avscene.models.audio_cnn import LOG_MEL
from avscene.records import FloatArray


def log_mel(waveform: FloatArray) -> FloatArray:
    """(n_mels, n_times) in dB of samples (n_samples,)."""
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=LOG_MEL.sample_rate,
        n_fft=LOG_MEL.n_fft,
        hop_length=LOG_MEL.hop_length,
        n_mels=LOG_MEL.n_mels,
        fmin=LOG_MEL.f_min,
        fmax=LOG_MEL.f_max,
        center=True,
        pad_mode="constant",
    )
    return librosa.power_to_db(power, ref=1.0, amin=10 ** (LOG_MEL.floor_db / 10), top_db=None)
