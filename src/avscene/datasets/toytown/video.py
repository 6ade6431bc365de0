"""Render the video of toytown: frames of a panorama with a vehicle around the camera, people, cars, motion and light.

`location` is the random generator of what all recordings of a location share (seats, light, camera motion),
`recording` that of what differs between them (heading, passers-by).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from avscene.datasets.toytown.panorama import (
    HEIGHT,
    HORIZON,
    PANORAMA,
    WIDTH,
    VideoRecipe,
    box,
    disc,
    muted,
    paint_panorama,
)
from avscene.records import ByteArray, FloatArray

FPS = 12
SPEED = 200.0  # pixels per second at which a vehicle of `speed` 1 passes the view
MAX_PEOPLE, MAX_CARS = 9, 6  # in view at amount 1
GLASS = -1.0  # marks the transparent pixels of an interior


def _carriage(random: Generator) -> FloatArray:
    """Paint the inside of a carriage: wide windows, a lamp, seats and poles; windows are `GLASS`."""
    inside = np.empty((HEIGHT, WIDTH, 3), dtype=np.float32)
    wall, seat = muted(0.55, 0.8, random), random.random(3) * 0.8
    inside[:] = wall * np.linspace(1.1, 0.7, HEIGHT)[:, None, None]
    box(inside, 0, 6, WIDTH, 5, np.array([1.0, 1.0, 0.92]))
    sill, pane = random.uniform(78, 92), random.uniform(62, 100)
    for left in np.arange(-random.uniform(0, pane), WIDTH, pane + 10):
        box(inside, left, 22, pane, sill - 22, np.full(3, GLASS))
    pitch = random.uniform(34, 52)
    for left in np.arange(-random.uniform(0, pitch), WIDTH, pitch):
        disc(inside, left + pitch / 2, 104, pitch * 0.42, 14, seat)
        box(inside, left + pitch * 0.08, 104, pitch * 0.84, 40, seat)
        box(inside, left + pitch * 0.08, 124, pitch * 0.84, 3, seat * 0.7)
    for x in random.uniform(0, WIDTH, 2):
        box(inside, x, 0, 3, HEIGHT, np.array([0.95, 0.8, 0.15]))
    return inside


def _windscreen(amount: float, random: Generator) -> FloatArray:
    """Paint the front of a bus around the road: pillars, roof, dashboard and wheel, of sizes scaled by `amount`."""
    inside = np.full((HEIGHT, WIDTH, 3), GLASS, dtype=np.float32)
    dark = muted(0.12, 0.3, random)
    roof, pillar, board = random.uniform(20, 30), random.uniform(12, 22), random.uniform(30, 44)
    box(inside, 0, 0, WIDTH, roof * amount, dark)
    box(inside, 0, 0, pillar * amount, HEIGHT, dark * 0.8)
    box(inside, WIDTH - pillar * amount, 0, WIDTH, HEIGHT, dark * 0.8)
    box(inside, 0, HEIGHT - board * amount, WIDTH, HEIGHT, dark * 1.2)
    box(inside, random.uniform(60, 110), 0, 4 * amount, HEIGHT, dark)
    wheel = random.uniform(30, 80)
    disc(inside, wheel, HEIGHT + 6, 40 * amount + 0.1, 44 * amount + 0.1, dark * 0.5)
    disc(inside, wheel, HEIGHT + 6, 34 * amount + 0.1, 37 * amount + 0.1, dark * 1.2)
    return inside


def _interior(recipe: VideoRecipe, random: Generator) -> FloatArray | None:
    if recipe.get("carriage", 0) > 0:
        return _carriage(random)
    if recipe.get("windscreen", 0) > 0:
        return _windscreen(recipe["windscreen"], random)
    return None


@dataclass(frozen=True, slots=True)
class _Mover:
    """A person or car that crosses the view: `x` in pixels at the start, `speed` in pixels per second."""

    x: float
    speed: float
    foot: float  # row of the ground below it; lower rows are nearer
    colours: FloatArray  # (3, 3)

    def left(self, time: float) -> float:
        """Return the position at `time`; it wraps around the view."""
        return (self.x + self.speed * time) % (WIDTH + 60) - 30

    @property
    def size(self) -> float:
        """Scale of the perspective, 1 in the middle of the ground."""
        return (self.foot - HORIZON + 12) / 45


def _person(canvas: FloatArray, mover: _Mover, time: float) -> None:
    x, foot, size = mover.left(time), mover.foot, mover.size
    coat, trousers, skin = mover.colours
    stride = 4 * size * np.sin(abs(mover.speed) * time / 3 + mover.x)
    for side in (-stride, stride):
        box(canvas, x - 3 * size + side, foot - 20 * size, 5 * size, 20 * size, trousers * 0.6)
    disc(canvas, x, foot - 28 * size, 7 * size, 13 * size, coat)
    disc(canvas, x, foot - 45 * size, 4.5 * size, 5.5 * size, np.array([0.8, 0.6, 0.5]) * (0.5 + 0.6 * skin[0]))


def _car(canvas: FloatArray, mover: _Mover, time: float) -> None:
    x, foot, size = mover.left(time), mover.foot, mover.size
    body, glass, _ = mover.colours
    disc(canvas, x, foot - 18 * size, 20 * size, 14 * size, body)
    disc(canvas, x, foot - 19 * size, 15 * size, 9 * size, glass * 0.4)
    box(canvas, x - 30 * size, foot - 18 * size, 60 * size, 14 * size, body)
    for wheel in (-18, 18):
        disc(canvas, x + wheel * size, foot - 3 * size, 7 * size, 7 * size, np.full(3, 0.07))


def _movers(amount: float, maximum: int, speed: float, random: Generator) -> list[_Mover]:
    """Return about `amount` x `maximum` of them, the farthest first."""
    count = int(random.binomial(maximum, amount))
    feet = np.sort(random.uniform(HORIZON + 8, HEIGHT - 6, count))
    return [
        _Mover(random.uniform(0, WIDTH), random.choice([-1, 1]) * random.uniform(0.3, 1) * speed, foot, colours)
        for foot, colours in zip(feet, random.random((count, 3, 3)), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Camera:
    """The camera of a location: its motion and the light."""

    heading: float
    pan: float  # pixels per second
    shake: float  # standard deviation in pixels
    gain: FloatArray  # (3,) brightness and tint
    contrast: float
    grain: float

    @classmethod
    def of(cls, speed: float, location: Generator, recording: Generator) -> "_Camera":
        """Return the camera of the location, with another heading for each recording."""
        drift = location.uniform(-14, 14)
        tint = 1 + location.uniform(-0.1, 0.1, 3)
        return cls(
            heading=recording.uniform(0, PANORAMA),
            pan=speed * SPEED if speed > 0 else drift,
            shake=location.uniform(0, 2.5),
            gain=tint * location.uniform(0.8, 1.25) * recording.uniform(0.95, 1.05),
            contrast=location.uniform(0.75, 1.15),
            grain=location.uniform(0.0, 0.025),
        )

    def view(self, panorama: FloatArray, time: float) -> FloatArray:
        """Return a copy of the part of the panorama in view at `time`, (`HEIGHT`, `WIDTH`, 3)."""
        columns = int(self.heading + self.pan * time) + np.arange(WIDTH)
        return panorama.take(columns % PANORAMA, axis=1)

    def expose(self, image: FloatArray, noise: FloatArray, random: Generator) -> ByteArray:
        """Return `image` with light, noise and shake as pixels; `image` is changed in place, for speed."""
        shift = np.rint(random.normal(0, self.shake, 2)).astype(int)
        image *= (255 * self.contrast * self.gain).astype(np.float32)
        image += np.float32(255 * 0.5 * (1 - self.contrast))
        image += np.float32(255 * self.grain) * np.roll(noise, 7 * shift, axis=(0, 1))
        return np.roll(np.clip(image, 0, 255, out=image).astype(np.uint8), shift, axis=(0, 1))


def render_video(recipe: VideoRecipe, seconds: int, location: Generator, recording: Generator) -> Iterator[ByteArray]:
    """Yield the frames of one recording, `seconds` x `FPS` of (`HEIGHT`, `WIDTH`, 3) uint8.

    Args:
        recipe: Amounts by part.
        seconds: Length of the recording.
        location: Random generator of the location; in the same state for each of its recordings.
        recording: Random generator of the recording.
    """
    layout, interior, motion = location.spawn(3)
    panorama, inside = paint_panorama(recipe, layout), _interior(recipe, interior)
    camera = _Camera.of(recipe.get("speed", 0), motion, recording)
    people = _movers(recipe.get("people", 0), MAX_PEOPLE, 25, recording)
    cars = _movers(recipe.get("cars", 0), MAX_CARS, 70, recording)
    if inside is not None and recipe.get("carriage", 0) > 0:  # passengers stand still
        for person in people:
            _person(inside, person, 0)
        people = []
    noise = recording.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)
    for time in np.arange(seconds * FPS) / FPS:
        image = camera.view(panorama, time)
        for car in cars:
            _car(image, car, time)
        if inside is not None:
            np.copyto(image, inside, where=inside != GLASS)
        for person in people:
            _person(image, person, time)
        yield camera.expose(image, noise, recording)
