"""Recordings to mismatches: the picture of each beside the sound of others, from another scene and another place."""

import numpy as np

from avscene.errors import DataError
from avscene.mismatch.pairs import PairedScores, RecordingPair, Rows

SOUNDS = 5  # that each picture is given to fit on; more cost time and teach little
SEED = 0


def swapped(paired: PairedScores, *, sounds: int = SOUNDS, seed: int = SEED) -> PairedScores:
    """Every picture beside the sound of up to `sounds` recordings of another scene and group, second by second.

    Only seconds with both modalities take part; where the sound is shorter than the picture, it begins again. Which
    recordings are drawn depends on `seed` and on their names, not on their order.

    Raises:
        DataError: truth or groups are not known, or there is no such recording for any.
    """
    if paired.truth is None or paired.groups is None:
        raise DataError("to exchange sounds, both tables need the columns true_label and group")
    rows = _complete_rows(paired)
    first = np.array([found[0] for found in rows.values()], dtype=np.intp)
    scenes, groups = paired.truth[first], np.array(paired.groups)[first]
    names, members = list(rows), list(rows.values())
    random = np.random.default_rng(seed)
    found: list[tuple[RecordingPair, Rows, Rows]] = []
    for picture, own in enumerate(members):
        others = np.flatnonzero((scenes != scenes[picture]) & (groups != groups[picture]))
        for audio in random.choice(others, size=min(sounds, len(others)), replace=False):
            pair = RecordingPair(names[audio].audio, names[picture].video, mismatch=True)
            found.append((pair, np.resize(members[audio], len(own)), own))
    if not found:
        raise DataError("no recording has sound and picture beside another one of another scene and another group")
    return _beside(paired, found)


def _complete_rows(paired: PairedScores) -> dict[RecordingPair, Rows]:
    """The rows of each recording that have both modalities, in order of its name."""
    complete = paired.complete
    rows = {pair: found[complete[found]] for pair, found in paired.recordings.items()}
    return {pair: rows[pair] for pair in sorted(rows, key=lambda pair: (pair.video, pair.audio)) if len(rows[pair])}


def _beside(paired: PairedScores, found: list[tuple[RecordingPair, Rows, Rows]]) -> PairedScores:
    assert paired.truth is not None
    assert paired.groups is not None
    heard = np.concatenate([audio for _, audio, _ in found])
    seen = np.concatenate([picture for _, _, picture in found])
    return PairedScores(
        paired.labels,
        tuple(pair for pair, _, picture in found for _ in picture),
        paired.audio[heard],
        paired.video[seen],
        starts=None if paired.starts is None else paired.starts[seen],
        truth=paired.truth[seen],
        groups=tuple(paired.groups[row] for row in seen),
    )
