"""Render the audio of toytown: a recipe of ingredients and levels becomes a waveform.

A recipe maps ingredients to levels in dB. Scenes of a pair have recipes over the same ingredients, so that a blend of
their recipes is a scene between them. Each ingredient is a function that synthesises it: `location` is the random
generator of what all recordings of a location share (pitch, spectrum, microphone), `recording` that of what differs
between them (times, phases, voices).
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator

from avscene.datasets.toytown.synth import (
    SAMPLE_RATE,
    apply_response,
    decay,
    harmonics,
    noise,
    resonant,
    seconds,
    slow_change,
    spectrum,
    sum_of_events,
)
from avscene.records import FloatArray

ABSENT_LEVEL = -34.0  # dB: an ingredient at or below it is left out
AudioRecipe = Mapping[str, float]
Ingredient = Callable[[int, Generator, Generator], FloatArray]  # (n samples, location, recording) -> (n,)

# Levels in dB of each ingredient and of the echo. Consecutive rows are the pairs that audio confuses.
AUDIO_RECIPES: dict[str, AudioRecipe] = {
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


def hum(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Ventilation: noise with a spectrum of the location, over a mains tone."""
    low, slope, tone = location.uniform(60, 140), location.uniform(5, 8), location.uniform(0.2, 1)
    air = noise(n, low, 8000, slope, recording)
    mains = np.sin(2 * np.pi * (location.choice([100.0, 120.0]) * seconds(n) + recording.random()))
    wave: FloatArray = air / air.std() + tone * mains
    return wave


def engine(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Motor of varying speed, with the rumble of the road."""
    pitch = location.uniform(36, 52) * (0.8 + 0.6 * slow_change(n, 0.7, recording))
    rumble = noise(n, 30, 300, location.uniform(3, 6), recording)
    wave: FloatArray = 2 * harmonics(pitch, 14, location.uniform(0.3, 0.6), recording) + rumble / rumble.std()
    return wave


def rail(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Wheels on rails: double knocks at the joints, a roar, and a squeal of varying level."""
    t, gap = seconds(n), location.uniform(0.5, 1.1)
    beat = (t + recording.random() * gap) % gap
    knocks = sum(decay(np.abs(beat - at), 60) for at in (0.05, 0.18)) * noise(n, 200, 1200, 3, recording)
    roar = noise(n, 100, location.uniform(800, 2500), 3, recording)
    squeal = np.sin(2 * np.pi * location.uniform(1500, 3500) * t) * slow_change(n, 1, recording) ** 4
    wave: FloatArray = 3 * knocks / knocks.std() + roar / roar.std() + 0.5 * squeal
    return wave


def tunnel(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Roar of a tunnel: noise in the middle of the spectrum, of varying level."""
    return noise(n, location.uniform(250, 350), location.uniform(2500, 4000), 2, recording) * (
        0.5 + slow_change(n, 2, recording)
    )


def beeps(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Ticket reader of a bus or a tram."""
    t = (seconds(n) + recording.random()) % location.uniform(0.35, 0.5)
    wave: FloatArray = np.sin(2 * np.pi * location.uniform(1900, 2300) * t) * (t < 0.1)
    return wave


def babble(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Several voices: sawtooth tones through vowel resonances, in syllables."""
    voices, melody = np.zeros(n, dtype=np.float32), np.cumsum(0.9 + 0.25 * slow_change(n, 3, recording)) / SAMPLE_RATE
    for _ in range(int(location.integers(2, 5))):
        buzz = (recording.uniform(90, 240) * melody % 1).astype(np.float32) - np.float32(0.5)
        voices += buzz * slow_change(n, recording.uniform(5, 9), recording) ** 2 * np.float32(recording.uniform(0.3, 1))
    vowels = [(location.uniform(400, 800), 0.4), (location.uniform(1000, 1900), 0.3), (2800.0, 0.4)]
    return resonant(voices, vowels)


def steps(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Footsteps of several walkers, each of a steady pace, on the ground of the location."""
    ground, ring = location.uniform(300, 900), location.uniform(50, 90)
    t, wave = seconds(n), np.zeros(n, dtype=np.float32)
    for _ in range(int(location.integers(2, 5))):
        pace = recording.uniform(0.45, 0.65)  # seconds from step to step
        wave += decay((t + recording.random()) % pace, ring) * np.float32(recording.uniform(0.3, 1))
    return wave * noise(n, ground, 5 * ground, 3, recording)


def birds(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Chirps: short sweeps around a pitch of the location."""
    centre = location.uniform(2500, 5000)

    def chirp(random: Generator) -> FloatArray:
        t = np.arange(int(random.uniform(0.06, 0.25) * SAMPLE_RATE)) / SAMPLE_RATE
        u = t / t[-1]
        sweep = centre * random.uniform(0.8, 1.3) * t * (1 + random.uniform(-0.3, 0.3) * u)
        wave: FloatArray = np.sin(2 * np.pi * sweep) * np.sin(np.pi * u) ** 2 * random.uniform(0.3, 1)
        return wave

    return sum_of_events(n, location.uniform(5, 8), chirp, recording)


def wind(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Wind in leaves: noise of varying level."""
    return noise(n, location.uniform(100, 250), 6000, location.uniform(4, 6), recording) * (
        0.3 + slow_change(n, 1.5, recording)
    )


def traffic(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Passing cars: noise that rises and falls over a distant roar."""
    level = 0.25 + sum_of_events(n, location.uniform(0.8, 1.2), _pass_by, recording)
    return noise(n, location.uniform(80, 140), location.uniform(1500, 2500), 4, recording) * level


def _pass_by(random: Generator) -> FloatArray:
    return np.hanning(int(random.uniform(0.8, 2) * SAMPLE_RATE)) * random.uniform(0.5, 1)


def fountain(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Falling water: high noise of quickly varying level."""
    return noise(n, location.uniform(700, 1500), 12_000, 1.5, recording) * (0.7 + 0.3 * slow_change(n, 20, recording))


def chime(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Announcements: three notes of a bell, then a voice from a loudspeaker."""
    notes = location.uniform(440, 700) * np.array([1, 1.26, 1.5])[location.permutation(3)]
    t = (seconds(n) + recording.random() * 2) % 2.5  # seconds from one announcement to the next
    bells = sum(
        np.sin(2 * np.pi * note * t) * decay(np.clip(t - 0.3 * k, 0, None), 5) * (t > 0.3 * k)
        for k, note in enumerate(notes)
    )
    voice = resonant(babble(n, location, recording), [(1200.0, 0.6)])
    wave: FloatArray = bells + 0.7 * voice / voice.std() * (t > 1.1)
    return wave


def music(n: int, location: Generator, recording: Generator) -> FloatArray:
    """Background music: a chord that moves through four steps, with a beat."""
    root, tempo = location.uniform(200, 330), location.uniform(1.5, 2.5)
    beat = seconds(n) * tempo + recording.random() * 8
    step = np.array([1, 1.335, 1.498, 1.189])[(beat // 4).astype(int) % 4]
    chord = sum(harmonics(root * step * third, 2, 1, recording) for third in (1, 1.26, 1.498))
    return chord * (0.4 + decay(beat % 1, 4))


INGREDIENTS: dict[str, Ingredient] = {
    synthesise.__name__: synthesise
    for synthesise in (
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


def _add_reverberation(wave: FloatArray, level: float, location: Generator, recording: Generator) -> FloatArray:
    """Add the convolution of `wave` with decaying noise at `level` dB."""
    if level <= ABSENT_LEVEL:
        return wave
    tail = seconds(SAMPLE_RATE)
    impulse_response = recording.standard_normal(len(tail)) * np.exp(
        -6.9 * tail / location.uniform(0.6, 1.6)
    )  # -60 dB at the reverberation time
    size = len(wave) + len(impulse_response)
    wet = np.fft.irfft(spectrum(wave, size) * spectrum(impulse_response, size), size)[: len(wave)]
    echoed: FloatArray = wave + wet * (10 ** (level / 20) * wave.std() / wet.std())
    return echoed


def _apply_microphone(wave: FloatArray, location: Generator) -> FloatArray:
    """Apply the frequency response (tilt and bumps) and the gain of the location's microphone to `wave`."""
    tilt, loudness = location.uniform(-0.8, 0.8), location.uniform(-31, -23)
    bumps = [(location.uniform(7, 13.5), location.uniform(-4, 4)) for _ in range(3)]

    def response(octave: FloatArray) -> FloatArray:
        line = tilt * (octave - np.log2(1000))
        decibels: FloatArray = sum((height * np.exp(-((octave - centre) ** 2)) for centre, height in bumps), start=line)
        return decibels

    filtered = apply_response(spectrum(wave), response)
    scaled: FloatArray = filtered * (10 ** (loudness / 20) / filtered.std())
    return scaled


def render_audio(
    recipe: AudioRecipe, duration: int, location: Generator, recording: Generator, spread: float = 1.5
) -> FloatArray:
    """Render the audio of one recording, (duration x `SAMPLE_RATE`,) float32 in [-1, 1].

    Args:
        recipe: Levels in dB by ingredient, and `echo`.
        duration: In seconds.
        location: Random generator of the location; in the same state for each of its recordings.
        recording: Random generator of the recording.
        spread: Standard deviation in dB of an ingredient's level between locations.
    """
    n = duration * SAMPLE_RATE
    mixture = np.zeros(n, dtype=np.float32)
    n_generators = len(INGREDIENTS) + 2
    *sources, echo, microphone = zip(location.spawn(n_generators), recording.spawn(n_generators), strict=True)
    for (name, synthesise), (of_location, of_recording) in zip(INGREDIENTS.items(), sources, strict=True):
        level = recipe.get(name, ABSENT_LEVEL) + of_location.normal(0, spread)
        if level > ABSENT_LEVEL:
            wave = synthesise(n, of_location, of_recording)
            mixture += wave * np.float32(10 ** (level / 20) / wave.std())
    reverberant = _add_reverberation(mixture, recipe.get("echo", ABSENT_LEVEL), *echo)
    return np.clip(_apply_microphone(reverberant, microphone[0]), -1, 1).astype(np.float32)
