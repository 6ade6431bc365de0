"""A panorama of toytown to frames: a vehicle around the camera, people and cars, camera motion and light.

What belongs to a location (seats, light, the hand that holds the camera) is drawn from `place`; what belongs
to one recording (heading, passers-by) from `take`.
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
MOST_PEOPLE, MOST_CARS = 9, 6  # in view at amount 1
GLASS = -1.0  # marks what one sees through in an interior


def _carriage(random: Generator) -> FloatArray:
    """The inside of a carriage: wide windows, a lamp, seats and poles. `GLASS` where the outside shows."""
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
    """The front of a bus around the road: pillars, roof, dashboard and wheel, as far as `amount` has them."""
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
    """Someone or something that crosses the view: `x` pixels at the start, `speed` in pixels per second."""

    x: float
    speed: float
    foot: float  # row of the ground below it; nearer is lower and larger
    colours: FloatArray  # (3, 3)

    def left(self, time: float) -> float:
        """Position at `time`, coming in again on the other side."""
        return (self.x + self.speed * time) % (WIDTH + 60) - 30

    @property
    def size(self) -> float:
        """Scale by perspective, 1 in the middle of the ground."""
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


def _movers(amount: float, most: int, speed: float, random: Generator) -> list[_Mover]:
    """About `amount` x `most` of them, the farthest first."""
    count = int(random.binomial(most, amount))
    feet = np.sort(random.uniform(HORIZON + 8, HEIGHT - 6, count))
    return [
        _Mover(random.uniform(0, WIDTH), random.choice([-1, 1]) * random.uniform(0.3, 1) * speed, foot, colours)
        for foot, colours in zip(feet, random.random((count, 3, 3)), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Camera:
    """How a location is filmed: pan and shake in pixels, then the light."""

    heading: float
    pan: float  # pixels per second
    shake: float
    gain: FloatArray  # (3,) brightness and tint
    contrast: float
    grain: float

    @classmethod
    def of(cls, speed: float, place: Generator, take: Generator) -> "_Camera":
        """The location's camera, turned somewhere else for each recording."""
        hand = place.uniform(-14, 14)
        tint = 1 + place.uniform(-0.1, 0.1, 3)
        return cls(
            heading=take.uniform(0, PANORAMA),
            pan=speed * SPEED if speed > 0 else hand,
            shake=place.uniform(0, 2.5),
            gain=tint * place.uniform(0.8, 1.25) * take.uniform(0.95, 1.05),
            contrast=place.uniform(0.75, 1.15),
            grain=place.uniform(0.0, 0.025),
        )

    def view(self, panorama: FloatArray, time: float) -> FloatArray:
        """(`HEIGHT`, `WIDTH`, 3) copy of what it sees at `time`."""
        columns = int(self.heading + self.pan * time) + np.arange(WIDTH)
        return panorama.take(columns % PANORAMA, axis=1)

    def develop(self, image: FloatArray, noise: FloatArray, random: Generator) -> ByteArray:
        """`image` shaken, in the location's light, as pixels. Changes `image`, to be fast."""
        shift = np.rint(random.normal(0, self.shake, 2)).astype(int)
        image *= (255 * self.contrast * self.gain).astype(np.float32)
        image += np.float32(255 * 0.5 * (1 - self.contrast))
        image += np.float32(255 * self.grain) * np.roll(noise, 7 * shift, axis=(0, 1))
        return np.roll(np.clip(image, 0, 255, out=image).astype(np.uint8), shift, axis=(0, 1))


def render_picture(recipe: VideoRecipe, seconds: int, place: Generator, take: Generator) -> Iterator[ByteArray]:
    """The frames of one recording, `seconds` x `FPS` of (`HEIGHT`, `WIDTH`, 3) uint8.

    Args:
        recipe: Amounts by part.
        seconds: Length.
        place: Generator of the location; in the same state for each of its recordings.
        take: Generator of the recording.
    """
    layout, cabin, hand = place.spawn(3)
    panorama, inside = paint_panorama(recipe, layout), _interior(recipe, cabin)
    camera = _Camera.of(recipe.get("speed", 0), hand, take)
    people = _movers(recipe.get("people", 0), MOST_PEOPLE, 25, take)
    cars = _movers(recipe.get("cars", 0), MOST_CARS, 70, take)
    if inside is not None and recipe.get("carriage", 0) > 0:  # passengers stand where they are
        for person in people:
            _person(inside, person, 0)
        people = []
    noise = take.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)
    for time in np.arange(seconds * FPS) / FPS:
        image = camera.view(panorama, time)
        for car in cars:
            _car(image, car, time)
        if inside is not None:
            np.copyto(image, inside, where=inside != GLASS)
        for person in people:
            _person(image, person, time)
        yield camera.develop(image, noise, take)
