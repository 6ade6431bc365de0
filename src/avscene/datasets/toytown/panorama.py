"""Paint a panorama of a toytown scene from a recipe of parts and amounts.

A recipe maps parts of a view to amounts in [0, 1]. Scenes of a pair have recipes over the same parts, so that a blend
of their recipes is a scene between them.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.random import Generator

from avscene.records import FloatArray

HEIGHT, WIDTH = 144, 176  # pixels of a frame
PANORAMA = 2 * WIDTH  # pixels: the camera turns within it, a vehicle moves along it
HORIZON = 64  # row
VideoRecipe = Mapping[str, float]
Painter = Callable[[FloatArray, VideoRecipe, Generator], None]  # paints on a canvas (h, w, 3) in [0, 1]

# Amount of each part; parts that are not named are absent. Consecutive rows are the pairs that video confuses.
VIDEO_RECIPES: dict[str, VideoRecipe] = {
    "tram": {"daylight": 0.9, "sky": 0.9, "buildings": 0.8, "carriage": 1, "people": 0.3, "speed": 0.5},
    "metro": {"daylight": 0.1, "sky": 0.0, "buildings": 0.1, "carriage": 1, "people": 0.3, "speed": 0.9},
    "airport": {"daylight": 0.9, "lamps": 0.3, "glazing": 1, "signs": 0.7, "people": 0.5, "rails": 0.0},
    "metro_station": {"daylight": 0.4, "lamps": 0.8, "glazing": 0, "signs": 0.5, "people": 0.5, "rails": 1},
    "shopping_mall": {"daylight": 0.7, "sky": 0.0, "lamps": 1, "shops": 1, "people": 0.7},
    "street_pedestrian": {
        "daylight": 0.8,
        "sky": 1,
        "lamps": 0,
        "shops": 0.8,
        "buildings": 0.9,
        "people": 0.7,
    },
    "park": {"daylight": 0.8, "sky": 1, "trees": 1, "grass": 1, "buildings": 0.1, "people": 0.2},
    "public_square": {"daylight": 0.8, "sky": 1, "trees": 0.2, "grass": 0, "buildings": 1, "people": 0.6},
    "bus": {
        "daylight": 0.7,
        "sky": 1,
        "buildings": 0.8,
        "road": 1,
        "cars": 0.4,
        "windscreen": 1,
        "speed": 0.4,
    },
    "street_traffic": {"daylight": 0.8, "sky": 1, "buildings": 0.8, "road": 1, "cars": 0.8, "windscreen": 0},
}


def muted(low: float, high: float, random: Generator) -> FloatArray:
    """Return a muted colour (3,) close to a grey between `low` and `high`."""
    return np.clip(random.uniform(low, high) + random.uniform(-0.12, 0.12, 3), 0, 1)


def box(canvas: FloatArray, left: float, top: float, width: float, height: float, colour: FloatArray) -> None:
    """Paint a rectangle, clipped to the canvas."""
    x, y = int(left), int(top)
    canvas[max(y, 0) : max(y + int(height), 0), max(x, 0) : max(x + int(width), 0)] = colour


def disc(canvas: FloatArray, x: float, y: float, across: float, down: float, colour: FloatArray) -> None:
    """Paint an ellipse around (`x`, `y`) with half axes `across` and `down`, clipped to the canvas."""
    top, left = max(int(y - down), 0), max(int(x - across), 0)
    part = canvas[top : max(int(y + down) + 1, 0), left : max(int(x + across) + 1, 0)]
    rows = (np.arange(top, top + part.shape[0]) - y) / down
    columns = (np.arange(left, left + part.shape[1]) - x) / across
    part[columns**2 + (rows**2)[:, None] <= 1] = colour


def slots(count: int, random: Generator) -> Iterator[tuple[float, float, Generator]]:
    """Yield `count` positions along the panorama as (left in pixels, rank in [0, 1), random generator).

    Painters fill the slots whose rank is below the amount, so that a location has the same layout for every amount.
    """
    ranks = (random.permutation(count) + random.random(count)) / count
    for index, (rank, own) in enumerate(zip(ranks, random.spawn(count), strict=True)):
        yield (index + own.uniform(-0.2, 0.2)) * PANORAMA / count, float(rank), own


def _backdrop(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint the sky, a ceiling, or a blend of them, as bright as the daylight."""
    day, sky = recipe.get("daylight", 0), recipe.get("sky", 0)
    fade = np.linspace(0, 1, HORIZON)[:, None, None]
    blue = np.array([0.35, 0.6, 0.95]) * (1 - fade) + np.array([0.85, 0.9, 0.95]) * fade
    ceiling = muted(0.55, 0.8, random) * (1 - 0.4 * fade)
    canvas[:HORIZON] = (0.1 + 0.9 * day) * (sky * blue + (1 - sky) * ceiling)
    for left, rank, own in slots(6, random):  # clouds
        if rank < sky * 0.7:
            disc(
                canvas,
                left,
                own.uniform(5, 35),
                own.uniform(15, 35),
                own.uniform(3, 8),
                np.full(3, 0.85 * day + 0.1),
            )


def _lamps(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint rows of ceiling lamps that converge towards the horizon."""
    width = random.uniform(14, 30)
    for row, scale in ((10, 1.0), (28, 0.65), (41, 0.4)):
        for left, rank, _ in slots(8, random):
            if rank < recipe.get("lamps", 0):
                box(canvas, left, row, width * scale, 1 + 5 * scale, np.array([1.0, 0.97, 0.85]))


def _buildings(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint facades with rows of windows."""
    day = 0.2 + 0.8 * recipe.get("daylight", 0)
    for left, rank, own in slots(8, random):
        wall, glass = muted(0.4, 0.8, own), muted(0.15, 0.35, own)
        top, width = own.uniform(6, 34), own.uniform(40, 52)
        if rank < recipe.get("buildings", 0):
            box(canvas, left, top, width, HORIZON + 4 - top, wall * day)
            for y in np.arange(top + 5, HORIZON - 6, 11):
                for x in np.arange(left + 4, left + width - 6, 10):
                    box(canvas, x, y, 5, 7, glass * day)


def _glazing(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint the tall windows of a terminal, with aircraft behind some of them."""
    pane = PANORAMA / 10
    for left, rank, own in slots(10, random):
        if rank < recipe.get("glazing", 0):
            box(canvas, left, 18, pane - 3, HORIZON - 16, np.array([0.72, 0.86, 1.0]) * own.uniform(0.85, 1))
            if own.random() < 0.5:
                disc(canvas, left + 15, HORIZON - 8, 22, 4, np.full(3, 0.95))
                box(canvas, left + 1, HORIZON - 20, 5, 11, np.array([0.8, 0.2, 0.2]))


def _ground(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint paving in perspective, grass, or a road with lanes."""
    day = 0.4 + 0.6 * recipe.get("daylight", 0)
    rows = np.arange(1, HEIGHT - HORIZON + 1)[:, None]
    across, depth = (np.arange(PANORAMA)[None] - PANORAMA / 2) / rows, 60 / rows
    tiles = (np.floor(across * random.uniform(1, 3)) + np.floor(depth * random.uniform(1, 3))) % 2
    paving = muted(0.45, 0.75, random) * (1 - 0.15 * tiles[..., None])
    lawn = np.array([0.25, 0.5, 0.18]) * (0.8 + 0.4 * random.random((*tiles.shape, 1)))
    lane = (np.abs(across % 2.2 - 1.1) < 0.06) & (depth % 1.5 < 0.8)
    road = np.where(lane[..., None], 0.9, muted(0.25, 0.38, random))
    grass, asphalt = recipe.get("grass", 0), recipe.get("road", 0)
    # A lawn shrinks to a patch between paths as its amount falls.
    green = ((across * 0.35 + random.random()) % 1 < grass)[..., None]
    canvas[HORIZON:] = day * (asphalt * road + (1 - asphalt) * np.where(green, lawn, paving))


def _trees(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint trees: trunks, and crowns of many leaves."""
    day, hue = 0.3 + 0.7 * recipe.get("daylight", 0), random.uniform(0.7, 1.3)
    for left, rank, own in slots(11, random):
        size, foot = own.uniform(0.7, 1.5), own.uniform(HORIZON + 4, HORIZON + 22)
        if rank < recipe.get("trees", 0):
            box(
                canvas,
                left - 2 * size,
                foot - 34 * size,
                4 * size,
                34 * size,
                np.array([0.3, 0.2, 0.12]) * day,
            )
            for x, y in own.normal((left, foot - 38 * size), 9 * size, (14, 2)):
                leaf = np.array([0.16 * hue, 0.42, 0.12]) * own.uniform(0.6, 1.3) * day
                disc(canvas, x, y, 7 * size, 6 * size, leaf)


def _shops(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint lit shop windows below coloured signs."""
    for left, rank, own in slots(7, random):
        sign, lit = own.random(3), own.uniform(0.75, 1)
        if rank < recipe.get("shops", 0):
            box(canvas, left, 36, 46, 46, muted(0.25, 0.4, own))
            box(canvas, left, 38, 46, 8, sign)
            box(canvas, left + 3, 49, 40, 28, np.array([1.0, 0.93, 0.75]) * lit)
            for x in range(7, 40, 9):
                box(canvas, left + x, own.uniform(55, 64), 6, 14, own.random(3))


def _rails(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint the edge of a platform, the dark trench of the track, and pillars."""
    amount = recipe.get("rails", 0)
    edge = int(HORIZON + 10 + random.uniform(0, 14))
    trench = int(30 * amount)
    if trench > 1:
        box(canvas, 0, edge - trench, PANORAMA, trench, np.full(3, 0.08))
        box(canvas, 0, edge - trench // 3, PANORAMA, 2, np.full(3, 0.6))
        box(canvas, 0, edge, PANORAMA, 1 + 4 * amount, np.array([0.95, 0.8, 0.1]))
    pillar = muted(0.3, 0.6, random)
    for left, rank, _ in slots(6, random):
        if rank < 0.5 * amount:
            box(canvas, left, 0, 9, edge + 12, pillar)


def _signs(canvas: FloatArray, recipe: VideoRecipe, random: Generator) -> None:
    """Paint hanging boards with lines of text."""
    colour = np.array([[0.95, 0.8, 0.1], [0.1, 0.2, 0.5], [0.08, 0.08, 0.1]])[random.integers(3)]
    for left, rank, own in slots(6, random):
        if rank < recipe.get("signs", 0):
            top = own.uniform(12, 30)
            box(canvas, left, top, 36, 13, colour)
            for line in (3, 8):
                box(canvas, left + 4, top + line, own.uniform(14, 28), 2, 1 - colour)


PAINTERS: tuple[Painter, ...] = (
    _backdrop,
    _lamps,
    _buildings,
    _glazing,
    _ground,
    _trees,
    _shops,
    _rails,
    _signs,
)


def paint_panorama(recipe: VideoRecipe, location: Generator) -> FloatArray:
    """Return the view around the camera, (`HEIGHT`, `PANORAMA`, 3) in [0, 1].

    `location` is the random generator of layout and materials.
    """
    canvas = np.zeros((HEIGHT, PANORAMA, 3), dtype=np.float32)
    for paint, own in zip(PAINTERS, location.spawn(len(PAINTERS)), strict=True):
        paint(canvas, recipe, own)
    return canvas
