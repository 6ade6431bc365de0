"""Map high dynamic range (PQ and HLG of BT.2100) to the standard range and primaries of BT.709."""

from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from avscene.records import ByteArray

Transfer = Literal["pq", "hlg"]
Floats = npt.NDArray[np.float32]

# By the numbers of H.273, table 3 (and ffmpeg's AVColorTransferCharacteristic).
HDR_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
# Luminance in cd/m2 of white: in HDR by BT.2408, table 1; it becomes the white of standard range.
WHITE = 203.0
MAX_PQ = 10_000.0  # cd/m2 of the largest PQ signal
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2  # cd/m2 of the reference display and its system gamma (BT.2100, table 5)
SDR_GAMMA = 2.4  # of displays of standard range (BT.1886)
PEAK_PERCENTILE = 99.9  # of a frame's pixels are no brighter than its peak; single pixels may be noise
LEVELS = 2**16  # of the signal
# PQ's constants (BT.2100, table 4).
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# HLG's constants (BT.2100, table 5).
HLG_A = 0.17883277
HLG_B, HLG_C = 1 - 4 * HLG_A, 0.5 - HLG_A * float(np.log(4 * HLG_A))
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)  # BT.2100, table 6
BT2020_TO_BT709 = np.array(  # BT.2087, with its two matrices multiplied
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def signal_of(pixels: Any, from_rgb: bool) -> npt.NDArray[np.uint16]:
    """Scale pixels (h, w, 3) of 16 bits so that 1.0 is 65535; ffmpeg's conversion from YCbCr makes it 255 * 256."""
    if from_rgb:
        return np.asarray(pixels, np.uint16)
    scaled = pixels * np.float32((LEVELS - 1) / (255 * 256)) + np.float32(0.5)
    return np.asarray(np.minimum(scaled, LEVELS - 1), np.uint16)


def tone_map(signal: npt.NDArray[np.uint16], transfer: Transfer) -> ByteArray:
    """Convert an R'G'B' signal (h, w, 3) with BT.2020 primaries to 8-bit R'G'B' of BT.709.

    White of 203 cd/m2 (BT.2408) becomes the white of standard range. If the frame has brighter parts, its tones are
    compressed by the curve of BT.2390 (section 5.4.1) from the frame's own peak to white, by the largest of R, G and B,
    which keeps the hue. Colours outside the gamut of BT.709 are clipped.
    """
    light: Any = _display_light(signal, transfer) @ BT2020_TO_BT709.T
    np.maximum(light, 0, out=light)
    brightest = light.max(axis=2)
    peak = float(np.percentile(brightest, PEAK_PERCENTILE))
    if peak > WHITE:
        mapped = compress(np.minimum(brightest, peak), peak)
        light *= (mapped / np.maximum(brightest, 1e-6))[..., None]
    encoded = np.minimum(light / WHITE, 1.0) ** np.float32(1 / SDR_GAMMA)
    return np.asarray(encoded * 255 + 0.5, np.uint8)


def compress(luminance: Floats, peak: float) -> Floats:
    """Map luminances up to `peak` cd/m2 to at most `WHITE`: the EETF of BT.2390, 5.4.1, for a black of 0."""
    top = float(_to_pq(np.float64(peak)))
    white = float(_to_pq(np.float64(WHITE))) / top
    knee = 1.5 * white - 0.5
    signal = _to_pq(luminance) / top
    t = (signal - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * white
    return np.asarray(_from_pq(np.where(signal < knee, signal, spline) * top), np.float32)


def _display_light(signal: npt.NDArray[np.uint16], transfer: Transfer) -> Floats:
    """Return the light of the reference display in cd/m2, (h, w, 3)."""
    light: Floats = _table(transfer)[signal]
    if transfer == "hlg":  # OOTF, BT.2100 table 5
        luminance: Any = light @ LUMA_2020
        light = light * (HLG_PEAK * np.maximum(luminance, 1e-9) ** np.float32(HLG_GAMMA - 1))[..., None]
    return light


@cache
def _table(transfer: Transfer) -> Floats:
    """Return the light of each level of the signal: in cd/m2 for PQ, of the scene in [0, 1] for HLG."""
    signal = np.arange(LEVELS) / (LEVELS - 1)
    if transfer == "pq":
        return np.asarray(_from_pq(signal), np.float32)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - HLG_C) / HLG_A) + HLG_B) / 12).astype(np.float32)


def _from_pq(signal: Any) -> Any:
    """Return cd/m2 (EOTF of PQ, BT.2100 table 4)."""
    power = signal ** (1 / M2)
    return MAX_PQ * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def _to_pq(luminance: Any) -> Any:
    """Return the signal in [0, 1] for cd/m2 (inverse EOTF of PQ)."""
    power = (luminance / MAX_PQ) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2
