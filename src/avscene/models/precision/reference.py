"""Draw reference segments: frames with edges, textures and gradients, and audio with tones, noise and impacts.

They have the structure of recordings, which white noise has not, and are the same on every machine.
"""

import numpy as np

from avscene.records import ByteArray, FloatArray, Frame, Segment

N_SEGMENTS = 4
_HEIGHT, _WIDTH = 360, 640  # pixels
_LOUDNESS = 0.2  # root mean square of the waveforms


def reference_segments(hop: float, sample_rate: int | None) -> tuple[Segment, ...]:
    """Return segments of `hop` seconds with a frame each and, if a sample rate in Hz is given, with audio."""
    waveforms = [None] * N_SEGMENTS if sample_rate is None else _waveforms(round(hop * sample_rate), sample_rate)
    return tuple(
        Segment(number * hop, (number + 1) * hop, (Frame((number + 0.5) * hop, pixels),), waveform)
        for number, (pixels, waveform) in enumerate(zip(_frames(), waveforms, strict=True))
    )


def _frames() -> list[ByteArray]:
    """A landscape, a facade, people as discs in a bright room, and a texture with the spectrum of photographs."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH] / _HEIGHT
    sky = np.stack([0.3 + 0.5 * y, 0.5 + 0.4 * y, 0.9 - 0.1 * y], axis=-1)
    furrows = 0.3 + 0.2 * ((8 / np.maximum(y - 0.49, 0.02)) % 2 > 1)
    field = np.stack([furrows, 0.35 + 0.1 * furrows, np.full_like(y, 0.2)], axis=-1)
    landscape = np.where((y < 0.55)[..., None], sky, field)
    landscape[(x - 1.2) ** 2 + (y - 0.2) ** 2 < 0.01] = (1, 0.95, 0.6)
    windows = ((6 * x) % 1 > 0.3) & ((5 * y) % 1 > 0.35)
    wall = np.array([0.6, 0.5, 0.4]) * (0.7 + 0.3 * np.sin(3 * x))[..., None]
    facade = np.where(windows[..., None], np.array([0.15, 0.2, 0.3]), wall)
    room = np.full((_HEIGHT, _WIDTH, 3), 0.75)
    for _ in range(60):
        right, down, radius = random.uniform(0, x.max()), random.uniform(0.3, 1), random.uniform(0.02, 0.08)
        room[(x - right) ** 2 + (y - down) ** 2 < radius**2] = random.uniform(0, 1, 3)
    grey = _photograph_spectrum(random)[..., None]
    texture = 0.5 + 0.15 * grey + 0.05 * np.stack([_photograph_spectrum(random) for _ in range(3)], axis=-1)
    images = (landscape, facade, room, texture)
    return [np.ascontiguousarray((255 * np.clip(image, 0, 1)).astype(np.uint8)) for image in images]


def _photograph_spectrum(random: np.random.Generator) -> FloatArray:
    """Noise (height, width) of unit variance whose amplitude falls with 1 / frequency, as in photographs."""
    frequency = np.hypot(np.fft.fftfreq(_HEIGHT)[:, None], np.fft.rfftfreq(_WIDTH)[None])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(random.normal(size=(_HEIGHT, _WIDTH))) / frequency, s=(_HEIGHT, _WIDTH))
    return np.asarray(noise / noise.std())


def _waveforms(n_samples: int, sample_rate: int) -> list[FloatArray]:
    """A chord with harmonics, a rumble as of an engine, impacts that decay, and a voice-like sweep."""
    random = np.random.default_rng(1)
    time = np.arange(n_samples) / sample_rate
    chord = sum(np.sin(2 * np.pi * tone * k * time) / k for tone in (196.0, 247.0, 294.0) for k in range(1, 9))
    spectrum = np.fft.rfft(random.normal(size=n_samples)) / np.maximum(np.arange(n_samples // 2 + 1), 1) ** 0.7
    rumble = np.fft.irfft(spectrum, n_samples)
    since = time % 0.23
    impacts = np.exp(-30 * since) * random.normal(size=n_samples) + 0.02 * rumble / rumble.std()
    pitch = np.cumsum(140 + 40 * np.sin(2 * np.pi * 1.5 * time)) / sample_rate
    voice = sum(np.sin(2 * np.pi * k * pitch) / (1 + (k - 5) ** 2 / 9) for k in range(1, 20))
    voice = voice * (1 + np.sin(2 * np.pi * 4 * time)) + 0.01 * random.normal(size=n_samples)
    return [_at_loudness(np.asarray(wave)) for wave in (chord, rumble, impacts, voice)]


def _at_loudness(wave: FloatArray) -> FloatArray:
    return np.asarray(np.clip(_LOUDNESS * wave / np.sqrt(np.mean(wave**2)), -1, 1), np.float32)
