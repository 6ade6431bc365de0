"""Prepare audio and frames for OpenL3's networks: kapre's log-mel spectrogram and a centre crop.

The DCASE baseline used embeddings of openl3 0.3.1 with kapre 0.1.4, whose formula is computed here. Later releases
compute their mels with another scale and padding, and their embeddings differ.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avscene.records import ByteArray, FloatArray

SAMPLE_RATE = 48_000  # Hz; a window is one second of it
N_FFT, HOP_LENGTH = 2048, 242  # samples
N_MELS = 256
N_TIMES = -(-SAMPLE_RATE // HOP_LENGTH)  # 199
RANGE_DB = 80.0  # kept below the loudest value of a window
_LEAST_AMPLITUDE = 1e-10
_MELS_PER_DECADE = 2595.0  # HTK's scale: 2595 log10(1 + f / 700 Hz)
_CORNER_HZ = 700.0

RESIZE, CROP = 256, 224  # pixels

BLANK_LOG_MEL = torch.zeros(1, 1, N_MELS, N_TIMES)
BLANK_CROP = torch.zeros(1, 3, CROP, CROP)
_WINDOWS_AT_ONCE = 8  # bounds the memory of spectra in double precision


def openl3_log_mels(windows: Tensor) -> Tensor:
    """Compute log-mels (n, 1, 256, 199) in dB below each window's maximum of `windows` (n, 48000) in [-1, 1].

    10 log10 of mel *amplitudes* (root of the filtered power), so that a decade is 10 dB; the floor is -80 dB.
    """
    return torch.cat([_log_mels(part) for part in torch.split(windows, _WINDOWS_AT_ONCE)])


def _log_mels(windows: Tensor) -> Tensor:
    padding = (N_TIMES - 1) * HOP_LENGTH + N_FFT - SAMPLE_RATE  # TensorFlow's "same", half of it in front
    padded = functional.pad(windows.double(), (padding // 2, padding - padding // 2))
    window = torch.hann_window(N_FFT, dtype=torch.float64, device=windows.device)
    spectrum = torch.stft(padded, N_FFT, HOP_LENGTH, window=window, center=False, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    amplitudes = (mel_filters().to(windows.device) @ power).sqrt()
    decibels = 10 * amplitudes.clamp_min(_LEAST_AMPLITUDE).log10()
    relative = decibels - decibels.amax(dim=(1, 2), keepdim=True)
    return relative.clamp_min(-RANGE_DB).float()[:, None]


@lru_cache(maxsize=1)
def mel_filters() -> Tensor:
    """Return triangular filters (256, 1025) of unit area on HTK's mel scale from 0 Hz to 24 kHz.

    The lowest filters fall between frequency bins and are zero.
    """
    top = _MELS_PER_DECADE * np.log10(1 + SAMPLE_RATE / 2 / _CORNER_HZ)
    edges = _CORNER_HZ * (10 ** (np.linspace(0, top, N_MELS + 2) / _MELS_PER_DECADE) - 1)
    bins = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy(triangles * (2 / (edges[2:] - edges[:-2]))[:, None])


def one_second_windows(waveform: FloatArray) -> FloatArray:
    """Split `waveform` (samples,) into consecutive seconds (n, 48000), the last one filled with silence."""
    missing = -len(waveform) % SAMPLE_RATE
    return np.pad(waveform.astype(np.float32), (0, missing)).reshape(-1, SAMPLE_RATE)


def openl3_crops(frames: Sequence[ByteArray]) -> Tensor:
    """Scale and crop RGB `frames`, each (height, width, 3) uint8 of any size, to (n, 3, 224, 224) in [0, 1].

    The shorter side is scaled to 256, bilinearly and without smoothing, unless it is 224 to 256 already. The networks
    were trained on [-1, 1], but openl3 0.3.1 leaves what it has scaled or cropped in [0, 1], and its published
    embeddings are of that. Only frames of 224 x 224 are in [-1, 1], as there.
    """
    return torch.stack([_crop(frame) for frame in frames])


def _crop(frame: ByteArray) -> Tensor:
    image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    height, width = frame.shape[:2]
    if (height, width) == (CROP, CROP):
        return 2 * image - 1
    shorter = min(height, width)
    if not CROP <= shorter <= RESIZE:
        height, width = (round(side * RESIZE / shorter) for side in (height, width))
        image = functional.interpolate(image[None], (height, width), mode="bilinear", align_corners=False)[0]
    top, left = height // 2 - CROP // 2, width // 2 - CROP // 2
    return image[:, top : top + CROP, left : left + CROP]
