"""A recipe of levels to a waveform: the sounds of toytown, each a small generator of one ingredient.

A recipe maps ingredients to levels in dB. Two scenes that sound alike have recipes over the same ingredients, and a
blend of their recipes is a scene between them. What belongs to a location (pitch, colour, the microphone) is drawn from
`place`; what belongs to one recording (times, phases, who speaks) from `take`.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from avscene.records import FloatArray

SAMPLE_RATE = 48_000  # Hz, as TAU has it
SILENT = -34.0  # dB: an ingredient at or below it is left out
Recipe = Mapping[str, float]
RESPONSE_POINTS = 256
TICK = 480  # samples from one value of a slow change to the next; divides a second
EDGE_SLOPE = 18.0  # dB an octave beyond the edges of a band of noise
Response = Callable[[FloatArray], FloatArray]  # octaves above 1 Hz to dB
Ingredient = Callable[[int, Generator, Generator], FloatArray]  # (n samples, place, take) -> (n,)

# Levels in dB of each ingredient, and of the room's echo. Rows stand in the pairs that sound alike.
SOUNDS: dict[str, Recipe] = {
    "bus": {"engine": 0, "hum": -16, "rail": -30, "beeps": -9, "babble": -20},
    "tram": {"engine": -20, "hum": -8, "rail": -3, "beeps": -9, "babble": -20},
    "metro": {"tunnel": 0, "hum": -8, "rail": -12, "babble": -24, "echo": -14},
    "metro_station": {"tunnel": -12, "hum": -12, "rail": -20, "babble": -6, "steps": -8, "echo": -2},
    "airport": {"babble": -12, "hum": -8, "chime": -3, "music": -30, "steps": -20, "echo": -10},
    "shopping_mall": {"babble": -6, "hum": -14, "chime": -30, "music": -3, "steps": -16, "echo": -12},
    "street_pedestrian": {"birds": -22, "wind": -20, "steps": -3, "babble": -8, "traffic": -22},
    "park": {"birds": -2, "wind": -10, "steps": -22, "babble": -26, "traffic": -26},
    "public_square": {"fountain": -3, "babble": -10, "traffic": -16, "wind": -20, "steps": -18},
    "street_traffic": {"fountain": -26, "babble": -26, "traffic": 0, "wind": -20, "steps": -26},
}


@lru_cache(maxsize=4)
def _seconds(n: int) -> FloatArray:
    """(n,) time of each sample; shared, so it cannot be written to."""
    time = np.arange(n) / SAMPLE_RATE
    time.flags.writeable = False
    return time


def _spectrum(wave: FloatArray, size: int | None = None) -> NDArray[np.complexfloating[Any]]:
    return np.fft.rfft(wave.astype(np.float64), size)  # the double transform is the faster one in numpy 2


def _coloured(spectrum: NDArray[np.complexfloating[Any]], decibels: Response) -> FloatArray:
    """The waveform of `spectrum` (n // 2 + 1,) after the response `decibels`, a function of octaves above 1 Hz.

    The response is evaluated on a coarse grid and drawn through it: curves this smooth need no more, and it is fast.
    """
    grid = np.linspace(0, np.log2(SAMPLE_RATE / 2), RESPONSE_POINTS)
    hertz = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    gain = np.interp(hertz, 2**grid, 10 ** (decibels(grid) / 20))
    return np.fft.irfft(spectrum.astype(np.complex64) * gain.astype(np.float32)).astype(np.float32)


def _noise(n: int, low: float, high: float, slope: float, random: Generator) -> FloatArray:
    """Noise between `low` and `high` Hz with soft edges, falling by `slope` dB an octave."""

    def response(octave: FloatArray) -> FloatArray:
        below, above = np.log2(low) - octave, octave - np.log2(high)
        return slope * below - EDGE_SLOPE * (np.clip(below, 0, None) + np.clip(above, 0, None))

    spectrum = random.standard_normal(n + 2, dtype=np.float32).view(np.complex64)
    return _coloured(spectrum, response)


def _resonant(wave: FloatArray, peaks: list[tuple[float, float]]) -> FloatArray:
    """`wave` through resonances of (centre in Hz, width in octaves)."""

    def response(octave: FloatArray) -> FloatArray:
        gain = sum(np.exp(-(((octave - np.log2(centre)) / width) ** 2)) for centre, width in peaks)
        return 20 * np.log10(gain + 1e-4)

    return _coloured(_spectrum(wave), response)


def _wander(n: int, per_second: float, random: Generator) -> FloatArray:
    """(n,) a line through random values in [0, 1], `per_second` of them: a slow change."""
    knots = random.random(int(n / SAMPLE_RATE * per_second) + 2)
    ticks = np.arange(n // TICK + 1) * (per_second * TICK / SAMPLE_RATE)
    line = np.interp(ticks, np.arange(len(knots)), knots).astype(np.float32)
    within = np.arange(TICK, dtype=np.float32) / TICK
    return (line[:-1, None] + np.diff(line)[:, None] * within).ravel()


def _sum_of(
    n: int, per_second: float, event: Callable[[Generator], FloatArray], random: Generator
) -> FloatArray:
    """(n,) events at random times, about `per_second` of them, at least one."""
    wave = np.zeros(n)
    for _ in range(max(1, random.poisson(per_second * n / SAMPLE_RATE))):
        sound, start = event(random), int(random.integers(n))
        wave[start : start + len(sound)] += sound[: n - start]
    return wave


def _harmonics(pitch: FloatArray, count: int, slope: float, random: Generator) -> FloatArray:
    """Tones at multiples of `pitch` (n,) Hz, amplitude falling as k ** -slope."""
    phase = (2 * np.pi * (np.cumsum(pitch) / SAMPLE_RATE % 1)).astype(np.float32)
    wave = np.zeros(len(pitch), dtype=np.float32)
    for k, offset in enumerate(2 * np.pi * random.random(count, dtype=np.float32), start=1):
        wave += np.sin(k * phase + offset) * np.float32(k**-slope)
    return wave


def _fading(since: FloatArray, rate: float) -> FloatArray:
    """Amplitude `since` seconds after a blow that fades by e ** `rate` a second; in single precision for speed."""
    return np.exp(np.float32(-rate) * since.astype(np.float32))


def hum(n: int, place: Generator, take: Generator) -> FloatArray:
    """Ventilation: noise of the location's colour over a mains tone."""
    low, slope, tone = place.uniform(60, 140), place.uniform(5, 8), place.uniform(0.2, 1)
    air = _noise(n, low, 8000, slope, take)
    mains = np.sin(2 * np.pi * (place.choice([100.0, 120.0]) * _seconds(n) + take.random()))
    return air / air.std() + tone * mains


def engine(n: int, place: Generator, take: Generator) -> FloatArray:
    """A motor whose speed wanders, with the rumble of the road."""
    pitch = place.uniform(36, 52) * (0.8 + 0.6 * _wander(n, 0.7, take))
    rumble = _noise(n, 30, 300, place.uniform(3, 6), take)
    return 2 * _harmonics(pitch, 14, place.uniform(0.3, 0.6), take) + rumble / rumble.std()


def rail(n: int, place: Generator, take: Generator) -> FloatArray:
    """Wheels on rails: double knocks at the joints, a roar, and a squeal that comes and goes."""
    t, gap = _seconds(n), place.uniform(0.5, 1.1)
    beat = (t + take.random() * gap) % gap
    knocks = sum(_fading(np.abs(beat - at), 60) for at in (0.05, 0.18)) * _noise(n, 200, 1200, 3, take)
    roar = _noise(n, 100, place.uniform(800, 2500), 3, take)
    squeal = np.sin(2 * np.pi * place.uniform(1500, 3500) * t) * _wander(n, 1, take) ** 4
    return 3 * knocks / knocks.std() + roar / roar.std() + 0.5 * squeal


def tunnel(n: int, place: Generator, take: Generator) -> FloatArray:
    """The roar of a tunnel, thick in the middle of the spectrum, in surges."""
    return _noise(n, place.uniform(250, 350), place.uniform(2500, 4000), 2, take) * (
        0.5 + _wander(n, 2, take)
    )


def beeps(n: int, place: Generator, take: Generator) -> FloatArray:
    """The ticket reader of a bus or a tram."""
    t = (_seconds(n) + take.random()) % place.uniform(0.35, 0.5)
    return np.sin(2 * np.pi * place.uniform(1900, 2300) * t) * (t < 0.1)


def babble(n: int, place: Generator, take: Generator) -> FloatArray:
    """Several voices: buzzing pitches through vowels, in syllables."""
    voices, melody = np.zeros(n, dtype=np.float32), np.cumsum(0.9 + 0.25 * _wander(n, 3, take)) / SAMPLE_RATE
    for _ in range(int(place.integers(2, 5))):
        buzz = (take.uniform(90, 240) * melody % 1).astype(np.float32) - np.float32(0.5)
        voices += buzz * _wander(n, take.uniform(5, 9), take) ** 2 * np.float32(take.uniform(0.3, 1))
    vowels = [(place.uniform(400, 800), 0.4), (place.uniform(1000, 1900), 0.3), (2800.0, 0.4)]
    return _resonant(voices, vowels)


def steps(n: int, place: Generator, take: Generator) -> FloatArray:
    """Footsteps: walkers of a steady pace on the location's ground."""
    ground, ring = place.uniform(300, 900), place.uniform(50, 90)
    t, wave = _seconds(n), np.zeros(n, dtype=np.float32)
    for _ in range(int(place.integers(2, 5))):
        pace = take.uniform(0.45, 0.65)  # seconds from step to step
        wave += _fading((t + take.random()) % pace, ring) * np.float32(take.uniform(0.3, 1))
    return wave * _noise(n, ground, 5 * ground, 3, take)


def birds(n: int, place: Generator, take: Generator) -> FloatArray:
    """Chirps that sweep within the range of the location's bird."""
    centre = place.uniform(2500, 5000)

    def chirp(random: Generator) -> FloatArray:
        t = np.arange(int(random.uniform(0.06, 0.25) * SAMPLE_RATE)) / SAMPLE_RATE
        u = t / t[-1]
        sweep = centre * random.uniform(0.8, 1.3) * t * (1 + random.uniform(-0.3, 0.3) * u)
        return np.sin(2 * np.pi * sweep) * np.sin(np.pi * u) ** 2 * random.uniform(0.3, 1)

    return _sum_of(n, place.uniform(5, 8), chirp, take)


def wind(n: int, place: Generator, take: Generator) -> FloatArray:
    """Gusts in leaves."""
    return _noise(n, place.uniform(100, 250), 6000, place.uniform(4, 6), take) * (0.3 + _wander(n, 1.5, take))


def traffic(n: int, place: Generator, take: Generator) -> FloatArray:
    """Cars that pass: noise swelling and fading over a distant roar."""
    passing = 0.25 + _sum_of(n, place.uniform(0.8, 1.2), _swell, take)
    return _noise(n, place.uniform(80, 140), place.uniform(1500, 2500), 4, take) * passing


def _swell(random: Generator) -> FloatArray:
    return np.hanning(int(random.uniform(0.8, 2) * SAMPLE_RATE)) * random.uniform(0.5, 1)


def fountain(n: int, place: Generator, take: Generator) -> FloatArray:
    """Falling water: a bright hiss that flutters."""
    return _noise(n, place.uniform(700, 1500), 12_000, 1.5, take) * (0.7 + 0.3 * _wander(n, 20, take))


def chime(n: int, place: Generator, take: Generator) -> FloatArray:
    """Announcements: three notes of a bell, then a voice through a loudspeaker."""
    notes = place.uniform(440, 700) * np.array([1, 1.26, 1.5])[place.permutation(3)]
    t = (_seconds(n) + take.random() * 2) % 2.5  # seconds from one announcement to the next
    bells = sum(
        np.sin(2 * np.pi * note * t) * _fading(np.clip(t - 0.3 * k, 0, None), 5) * (t > 0.3 * k)
        for k, note in enumerate(notes)
    )
    voice = _resonant(babble(n, place, take), [(1200.0, 0.6)])
    return bells + 0.7 * voice / voice.std() * (t > 1.1)


def music(n: int, place: Generator, take: Generator) -> FloatArray:
    """Background music: a chord that moves through four steps, with a beat."""
    root, tempo = place.uniform(200, 330), place.uniform(1.5, 2.5)
    beat = _seconds(n) * tempo + take.random() * 8
    step = np.array([1, 1.335, 1.498, 1.189])[(beat // 4).astype(int) % 4]
    chord = sum(_harmonics(root * step * third, 2, 1, take) for third in (1, 1.26, 1.498))
    return chord * (0.4 + _fading(beat % 1, 4))


INGREDIENTS: dict[str, Ingredient] = {
    make.__name__: make
    for make in (
        hum,
        engine,
        rail,
        tunnel,
        beeps,
        babble,
        steps,
        birds,
        wind,
        traffic,
        fountain,
        chime,
        music,
    )
}


def _echoed(wave: FloatArray, level: float, place: Generator, take: Generator) -> FloatArray:
    """`wave` in a room: its convolution with decaying noise, added at `level` dB."""
    if level <= SILENT:
        return wave
    tail = _seconds(SAMPLE_RATE)
    room = take.standard_normal(len(tail)) * np.exp(-6.9 * tail / place.uniform(0.6, 1.6))  # -60 dB at RT60
    size = len(wave) + len(room)
    wet = np.fft.irfft(_spectrum(wave, size) * _spectrum(room, size), size)[: len(wave)]
    return wave + wet * (10 ** (level / 20) * wave.std() / wet.std())


def _recorded(wave: FloatArray, place: Generator) -> FloatArray:
    """`wave` as the location's microphone hears it: the tilt and the bumps of its response, and its gain."""
    tilt, loudness = place.uniform(-0.8, 0.8), place.uniform(-31, -23)
    bumps = [(place.uniform(7, 13.5), place.uniform(-4, 4)) for _ in range(3)]

    def response(octave: FloatArray) -> FloatArray:
        line = tilt * (octave - np.log2(1000))
        return sum((height * np.exp(-((octave - centre) ** 2)) for centre, height in bumps), start=line)

    heard = _coloured(_spectrum(wave), response)
    return heard * (10 ** (loudness / 20) / heard.std())


def render_sound(
    recipe: Recipe, seconds: int, place: Generator, take: Generator, spread: float = 1.5
) -> FloatArray:
    """The sound of one recording, (seconds x `SAMPLE_RATE`,) float32 in [-1, 1].

    Args:
        recipe: Levels in dB by ingredient, and `echo`.
        seconds: Length.
        place: Generator of the location; in the same state for each of its recordings.
        take: Generator of the recording.
        spread: Standard deviation in dB by which locations differ in the level of one ingredient.
    """
    n = seconds * SAMPLE_RATE
    mixture = np.zeros(n, dtype=np.float32)
    *sources, room, microphone = zip(
        place.spawn(len(INGREDIENTS) + 2), take.spawn(len(INGREDIENTS) + 2), strict=True
    )
    for (name, make), (here, now) in zip(INGREDIENTS.items(), sources, strict=True):
        level = recipe.get(name, SILENT) + here.normal(0, spread)
        if level > SILENT:
            wave = make(n, here, now)
            mixture += wave * np.float32(10 ** (level / 20) / wave.std())
    heard = _recorded(_echoed(mixture, recipe.get("echo", SILENT), *room), microphone[0])
    return np.clip(heard, -1, 1).astype(np.float32)
