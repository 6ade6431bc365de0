"""Make mismatched pairs: the video of each recording with the audio of others from a different scene and group."""

import numpy as np

from avscene.errors import DataError
from avscene.mismatch.pairs import PairedScores, RecordingPair
from avscene.records import IntArray

SWAPS_PER_VIDEO = 5  # for fitting; more take longer and improve little
SEED = 0


def swap_audio(paired: PairedScores, *, swaps: int = SWAPS_PER_VIDEO, seed: int = SEED) -> PairedScores:
    """Pair each video with the audio of up to `swaps` recordings of a different scene and group, segment by segment.

    Only segments with both modalities take part; if the audio is shorter than the video, it is repeated. The random
    choice of recordings depends on `seed` and on their names, not on their order.

    Raises:
        DataError: there are no true scenes or groups, or no such recording exists for any video.
    """
    if paired.truth is None or paired.groups is None:
        raise DataError("to swap audio, both tables need the columns 'true_label' and 'group'")
    complete_rows = _complete_rows(paired)
    first = np.array([rows[0] for rows in complete_rows.values()], dtype=np.intp)
    scenes, groups = paired.truth[first], np.array(paired.groups)[first]
    pairs, rows_of = list(complete_rows), list(complete_rows.values())
    random = np.random.default_rng(seed)
    swapped: list[tuple[RecordingPair, IntArray, IntArray]] = []
    for video, video_rows in enumerate(rows_of):
        candidates = np.flatnonzero((scenes != scenes[video]) & (groups != groups[video]))
        for audio in random.choice(candidates, size=min(swaps, len(candidates)), replace=False):
            pair = RecordingPair(pairs[audio].audio, pairs[video].video, mismatch=True)
            swapped.append((pair, np.resize(rows_of[audio], len(video_rows)), video_rows))
    if not swapped:
        raise DataError("no recording with audio and video has another one of another scene and another group")
    return _combine(paired, swapped)


def _complete_rows(paired: PairedScores) -> dict[RecordingPair, IntArray]:
    """The rows of each recording that have both modalities, in order of its name."""
    complete = paired.complete
    rows = {pair: found[complete[found]] for pair, found in paired.recordings.items()}
    return {pair: rows[pair] for pair in sorted(rows, key=lambda pair: (pair.video, pair.audio)) if len(rows[pair])}


def _combine(paired: PairedScores, swapped: list[tuple[RecordingPair, IntArray, IntArray]]) -> PairedScores:
    """The pairs with their rows of audio and of video; true scenes are those of the video."""
    assert paired.truth is not None
    assert paired.groups is not None
    audio = np.concatenate([rows for _, rows, _ in swapped])
    video = np.concatenate([rows for _, _, rows in swapped])
    return PairedScores(
        paired.labels,
        tuple(pair for pair, _, rows in swapped for _ in rows),
        paired.audio[audio],
        paired.video[video],
        starts=None if paired.starts is None else paired.starts[video],
        truth=paired.truth[video],
        groups=tuple(paired.groups[row] for row in video),
        audio_groups=tuple((paired.audio_groups or paired.groups)[row] for row in audio),
    )
