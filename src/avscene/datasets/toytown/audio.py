"""A recipe of levels to a waveform: the sounds of toytown, each a small generator of one ingredient.

A recipe maps ingredients to levels in dB. Two scenes that sound alike have recipes over the same ingredients,
and a blend of their recipes is a scene between them. What belongs to a location (pitch, colour, microphone)
is drawn from `place`; what belongs to one recording (times, phases, who speaks) from `take`.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator

from avscene.datasets.toytown.synth import (
    SAMPLE_RATE,
    coloured,
    fading,
    harmonics,
    noise,
    resonant,
    seconds,
    spectrum,
    sum_of,
    wander,
)
from avscene.records import FloatArray

SILENT = -34.0  # dB: an ingredient at or below it is left out
AudioRecipe = Mapping[str, float]
Ingredient = Callable[[int, Generator, Generator], FloatArray]  # (n samples, place, take) -> (n,)

# Levels in dB of each ingredient, and of the room's echo. Rows stand in the pairs that sound alike.
SOUNDS: dict[str, AudioRecipe] = {
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


def hum(n: int, place: Generator, take: Generator) -> FloatArray:
    """Ventilation: noise of the location's colour over a mains tone."""
    low, slope, tone = place.uniform(60, 140), place.uniform(5, 8), place.uniform(0.2, 1)
    air = noise(n, low, 8000, slope, take)
    mains = np.sin(2 * np.pi * (place.choice([100.0, 120.0]) * seconds(n) + take.random()))
    wave: FloatArray = air / air.std() + tone * mains
    return wave


def engine(n: int, place: Generator, take: Generator) -> FloatArray:
    """A motor whose speed wanders, with the rumble of the road."""
    pitch = place.uniform(36, 52) * (0.8 + 0.6 * wander(n, 0.7, take))
    rumble = noise(n, 30, 300, place.uniform(3, 6), take)
    wave: FloatArray = 2 * harmonics(pitch, 14, place.uniform(0.3, 0.6), take) + rumble / rumble.std()
    return wave


def rail(n: int, place: Generator, take: Generator) -> FloatArray:
    """Wheels on rails: double knocks at the joints, a roar, and a squeal that comes and goes."""
    t, gap = seconds(n), place.uniform(0.5, 1.1)
    beat = (t + take.random() * gap) % gap
    knocks = sum(fading(np.abs(beat - at), 60) for at in (0.05, 0.18)) * noise(n, 200, 1200, 3, take)
    roar = noise(n, 100, place.uniform(800, 2500), 3, take)
    squeal = np.sin(2 * np.pi * place.uniform(1500, 3500) * t) * wander(n, 1, take) ** 4
    wave: FloatArray = 3 * knocks / knocks.std() + roar / roar.std() + 0.5 * squeal
    return wave


def tunnel(n: int, place: Generator, take: Generator) -> FloatArray:
    """The roar of a tunnel, thick in the middle of the spectrum, in surges."""
    return noise(n, place.uniform(250, 350), place.uniform(2500, 4000), 2, take) * (0.5 + wander(n, 2, take))


def beeps(n: int, place: Generator, take: Generator) -> FloatArray:
    """The ticket reader of a bus or a tram."""
    t = (seconds(n) + take.random()) % place.uniform(0.35, 0.5)
    wave: FloatArray = np.sin(2 * np.pi * place.uniform(1900, 2300) * t) * (t < 0.1)
    return wave


def babble(n: int, place: Generator, take: Generator) -> FloatArray:
    """Several voices: buzzing pitches through vowels, in syllables."""
    voices, melody = np.zeros(n, dtype=np.float32), np.cumsum(0.9 + 0.25 * wander(n, 3, take)) / SAMPLE_RATE
    for _ in range(int(place.integers(2, 5))):
        buzz = (take.uniform(90, 240) * melody % 1).astype(np.float32) - np.float32(0.5)
        voices += buzz * wander(n, take.uniform(5, 9), take) ** 2 * np.float32(take.uniform(0.3, 1))
    vowels = [(place.uniform(400, 800), 0.4), (place.uniform(1000, 1900), 0.3), (2800.0, 0.4)]
    return resonant(voices, vowels)


def steps(n: int, place: Generator, take: Generator) -> FloatArray:
    """Footsteps: walkers of a steady pace on the location's ground."""
    ground, ring = place.uniform(300, 900), place.uniform(50, 90)
    t, wave = seconds(n), np.zeros(n, dtype=np.float32)
    for _ in range(int(place.integers(2, 5))):
        pace = take.uniform(0.45, 0.65)  # seconds from step to step
        wave += fading((t + take.random()) % pace, ring) * np.float32(take.uniform(0.3, 1))
    return wave * noise(n, ground, 5 * ground, 3, take)


def birds(n: int, place: Generator, take: Generator) -> FloatArray:
    """Chirps that sweep within the range of the location's bird."""
    centre = place.uniform(2500, 5000)

    def chirp(random: Generator) -> FloatArray:
        t = np.arange(int(random.uniform(0.06, 0.25) * SAMPLE_RATE)) / SAMPLE_RATE
        u = t / t[-1]
        sweep = centre * random.uniform(0.8, 1.3) * t * (1 + random.uniform(-0.3, 0.3) * u)
        wave: FloatArray = np.sin(2 * np.pi * sweep) * np.sin(np.pi * u) ** 2 * random.uniform(0.3, 1)
        return wave

    return sum_of(n, place.uniform(5, 8), chirp, take)


def wind(n: int, place: Generator, take: Generator) -> FloatArray:
    """Gusts in leaves."""
    return noise(n, place.uniform(100, 250), 6000, place.uniform(4, 6), take) * (0.3 + wander(n, 1.5, take))


def traffic(n: int, place: Generator, take: Generator) -> FloatArray:
    """Cars that pass: noise swelling and fading over a distant roar."""
    passing = 0.25 + sum_of(n, place.uniform(0.8, 1.2), _swell, take)
    return noise(n, place.uniform(80, 140), place.uniform(1500, 2500), 4, take) * passing


def _swell(random: Generator) -> FloatArray:
    return np.hanning(int(random.uniform(0.8, 2) * SAMPLE_RATE)) * random.uniform(0.5, 1)


def fountain(n: int, place: Generator, take: Generator) -> FloatArray:
    """Falling water: a bright hiss that flutters."""
    return noise(n, place.uniform(700, 1500), 12_000, 1.5, take) * (0.7 + 0.3 * wander(n, 20, take))


def chime(n: int, place: Generator, take: Generator) -> FloatArray:
    """Announcements: three notes of a bell, then a voice through a loudspeaker."""
    notes = place.uniform(440, 700) * np.array([1, 1.26, 1.5])[place.permutation(3)]
    t = (seconds(n) + take.random() * 2) % 2.5  # seconds from one announcement to the next
    bells = sum(
        np.sin(2 * np.pi * note * t) * fading(np.clip(t - 0.3 * k, 0, None), 5) * (t > 0.3 * k)
        for k, note in enumerate(notes)
    )
    voice = resonant(babble(n, place, take), [(1200.0, 0.6)])
    wave: FloatArray = bells + 0.7 * voice / voice.std() * (t > 1.1)
    return wave


def music(n: int, place: Generator, take: Generator) -> FloatArray:
    """Background music: a chord that moves through four steps, with a beat."""
    root, tempo = place.uniform(200, 330), place.uniform(1.5, 2.5)
    beat = seconds(n) * tempo + take.random() * 8
    step = np.array([1, 1.335, 1.498, 1.189])[(beat // 4).astype(int) % 4]
    chord = sum(harmonics(root * step * third, 2, 1, take) for third in (1, 1.26, 1.498))
    return chord * (0.4 + fading(beat % 1, 4))


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
    tail = seconds(SAMPLE_RATE)
    room = take.standard_normal(len(tail)) * np.exp(-6.9 * tail / place.uniform(0.6, 1.6))  # -60 dB at RT60
    size = len(wave) + len(room)
    wet = np.fft.irfft(spectrum(wave, size) * spectrum(room, size), size)[: len(wave)]
    echoed: FloatArray = wave + wet * (10 ** (level / 20) * wave.std() / wet.std())
    return echoed


def _recorded(wave: FloatArray, place: Generator) -> FloatArray:
    """`wave` as the location's microphone hears it: the tilt and the bumps of its response, and its gain."""
    tilt, loudness = place.uniform(-0.8, 0.8), place.uniform(-31, -23)
    bumps = [(place.uniform(7, 13.5), place.uniform(-4, 4)) for _ in range(3)]

    def response(octave: FloatArray) -> FloatArray:
        line = tilt * (octave - np.log2(1000))
        decibels: FloatArray = sum((height * np.exp(-((octave - centre) ** 2)) for centre, height in bumps), start=line)
        return decibels

    heard = coloured(spectrum(wave), response)
    loud: FloatArray = heard * (10 ** (loudness / 20) / heard.std())
    return loud


def render_sound(
    recipe: AudioRecipe, duration: int, place: Generator, take: Generator, spread: float = 1.5
) -> FloatArray:
    """The sound of one recording, (duration x `SAMPLE_RATE`,) float32 in [-1, 1].

    Args:
        recipe: Levels in dB by ingredient, and `echo`.
        duration: In seconds.
        place: Generator of the location; in the same state for each of its recordings.
        take: Generator of the recording.
        spread: Standard deviation in dB by which locations differ in the level of one ingredient.
    """
    n = duration * SAMPLE_RATE
    mixture = np.zeros(n, dtype=np.float32)
    *sources, room, microphone = zip(place.spawn(len(INGREDIENTS) + 2), take.spawn(len(INGREDIENTS) + 2), strict=True)
    for (name, make), (here, now) in zip(INGREDIENTS.items(), sources, strict=True):
        level = recipe.get(name, SILENT) + here.normal(0, spread)
        if level > SILENT:
            wave = make(n, here, now)
            mixture += wave * np.float32(10 ** (level / 20) / wave.std())
    heard = _recorded(_echoed(mixture, recipe.get("echo", SILENT), *room), microphone[0])
    return np.clip(heard, -1, 1).astype(np.float32)
