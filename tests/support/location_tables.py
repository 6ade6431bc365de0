"""Random prediction tables with locations as groups, and file names like those of TAU."""

import numpy as np

from avscene.labels import LabelSet
from avscene.tables.score_table import ScoreTable

LABELS = LabelSet(("park", "shopping_mall", "tram"))
CITIES = ("lisbon", "london", "lyon")
SEEN = {(scene, city) for scene in LABELS for city in CITIES} - {("shopping_mall", "london")}  # pairs in training


def location_table(seed: int, strength: float, locations: int = 10, segments: int = 4) -> ScoreTable:
    """Return predictions of two recordings at each location; locations alternate between scenes and cities.

    The accuracy grows with `strength`.
    """
    rng = np.random.default_rng(seed)
    scene = np.arange(locations) % len(LABELS)
    city = np.arange(locations) // len(LABELS) % len(CITIES)
    names = [
        f"{LABELS.names[scene[location]]}-{CITIES[city[location]]}-{location}-{number}.mp4"
        for location in range(locations)
        for number in "12"
    ]
    truth = np.repeat(scene, 2 * segments)
    logits = rng.normal(size=(len(truth), len(LABELS))) + np.repeat(rng.normal(size=(locations, 3)), 2 * segments, 0)
    odds = np.exp(logits + strength * np.eye(len(LABELS))[truth])
    return ScoreTable(
        labels=LABELS,
        filenames=tuple(np.repeat(names, segments).tolist()),
        probabilities=(odds / odds.sum(axis=1, keepdims=True)).round(6),
        starts=np.tile(np.arange(float(segments)), 2 * locations),
        groups=tuple(str(location) for location in np.repeat(np.arange(locations), 2 * segments)),
        truth=tuple(LABELS.names[index] for index in truth),
    )
