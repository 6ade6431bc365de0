"""Pair the rows of a prediction table of audio with those of a prediction table of video."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.records import BoolArray, FloatArray, IntArray
from avscene.tables.names import name_variants
from avscene.tables.score_table import ScoreTable

TIME_DECIMALS = 6  # of a second; starts are sums of hops and differ in the last digits
NO_ROW = -1  # row number where a table has no such row


@dataclass(frozen=True, slots=True)
class RecordingPair:
    """The names of the recordings that audio and video are from; "" if there is none.

    `mismatch` is whether they are from different recordings; None if unknown.
    """

    audio: str
    video: str
    mismatch: bool | None = None

    @property
    def name(self) -> str:
        """The name of the pair: that of its video, or of its audio if there is no video."""
        return self.video or self.audio


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
    """Probabilities (n, n_scenes) of audio and of video, row by row, in the order of `labels`.

    In a row of NaN the modality is missing or unfamiliar. Rows of equal `pairs` (n,) are of one recording; `starts`
    (n,) are in seconds, `truth` (n,) are scene indices and `groups` (n,) names, if known: those of the video, or of the
    audio without a video. `audio_groups` (n,) are the groups of the audio. `recordings` are the rows of each pair.

    Raises:
        ValueError: the shapes do not fit.
    """

    labels: LabelSet
    pairs: tuple[RecordingPair, ...]
    audio: FloatArray
    video: FloatArray
    starts: FloatArray | None = None
    truth: IntArray | None = None
    groups: tuple[str, ...] | None = None
    audio_groups: tuple[str, ...] | None = None
    recordings: Mapping[RecordingPair, IntArray] = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.pairs), len(self.labels))
        if self.audio.shape != shape or self.video.shape != shape:
            raise ValueError(f"scores of shapes {self.audio.shape} and {self.video.shape} are not {shape}")
        object.__setattr__(self, "recordings", _rows_by_pair(self.pairs, self.starts))

    @property
    def complete(self) -> BoolArray:
        """(n,) whether a row has both modalities."""
        return np.asarray(~np.isnan(self.audio[:, 0]) & ~np.isnan(self.video[:, 0]))

    def select(self, rows: IntArray) -> "PairedScores":
        """Return these rows, in this order."""
        groups, audio_groups = (
            None if names is None else tuple(names[row] for row in rows) for names in (self.groups, self.audio_groups)
        )
        return PairedScores(
            self.labels,
            tuple(self.pairs[row] for row in rows),
            self.audio[rows],
            self.video[rows],
            starts=None if self.starts is None else self.starts[rows],
            truth=None if self.truth is None else self.truth[rows],
            groups=groups,
            audio_groups=audio_groups,
        )


def pair_tables(audio: ScoreTable, video: ScoreTable, pairs: Sequence[RecordingPair] | None = None) -> PairedScores:
    """Pair the rows of both tables with equal starts, by `pairs` or else by equal names.

    Names are matched as written, then without folders, then without endings, if that is unique. A row that only one
    table has is paired with NaN. Truth and groups are those of the video, or else of the audio.

    Raises:
        DataError: the tables have different scenes, only one has starts, they have no recording in common, or lack one
            of `pairs`; rows of one name differ in truth.
    """
    if set(audio.labels) != set(video.labels):
        different = sorted(set(audio.labels) ^ set(video.labels))
        raise DataError(f"{audio.source} and {video.source}: scene {different[0]!r} is only in one of them")
    if (audio.starts is None) != (video.starts is None):
        lacking = audio if audio.starts is None else video
        raise DataError(f"{lacking.source}: has no column 'start', but the other table has one")
    audio_index, video_index = _RowIndex(audio), _RowIndex(video)
    matched = _pairs_by_name(audio_index, video_index) if pairs is None else pairs
    row_pairs, audio_rows, video_rows = _match_rows(audio_index, video_index, matched)
    columns = [audio.labels.index(scene) for scene in video.labels]
    if pairs is None:
        _check_truth(audio, video, audio_rows, video_rows)

    def merged(audio_values: object, video_values: object) -> npt.NDArray[np.generic] | None:
        """The values of the video's rows, or of the audio's rows where there is no video; None if one is missing."""
        if audio_values is None or video_values is None:
            return None
        return np.where(
            video_rows == NO_ROW, np.asarray(audio_values)[audio_rows], np.asarray(video_values)[video_rows]
        )

    truth, groups = merged(audio.truth, video.truth), merged(audio.groups, video.groups)
    starts = merged(audio.starts, video.starts)
    audio_groups = None
    if groups is not None:
        audio_groups = np.where(audio_rows == NO_ROW, groups, np.asarray(audio.groups)[audio_rows])
    return PairedScores(
        video.labels,
        row_pairs,
        _select_rows(_familiar_rows(audio)[:, columns], audio_rows),
        _select_rows(_familiar_rows(video), video_rows),
        starts=None if starts is None else starts.astype(np.float64),
        truth=None if truth is None else np.array([video.labels.index(scene) for scene in truth]),
        groups=None if groups is None else tuple(groups.tolist()),
        audio_groups=None if audio_groups is None else tuple(audio_groups.tolist()),
    )


class _RowIndex:
    """The rows of a table by recording and start; a recording is found by any variant of its name that is unique."""

    def __init__(self, table: ScoreTable) -> None:
        self.source = table.source
        self.rows: dict[str, dict[float, int]] = {"": {}}
        starts = np.zeros(len(table)) if table.starts is None else table.starts.round(TIME_DECIMALS)
        for row, (name, start) in enumerate(zip(table.filenames, starts.tolist(), strict=True)):
            self.rows.setdefault(name, {})[start] = row
        self._by_variant: dict[str, set[str]] = {}
        for name in self.names:
            for variant in name_variants(name):
                self._by_variant.setdefault(variant, set()).add(name)

    @property
    def names(self) -> list[str]:
        return [name for name in self.rows if name]

    def find(self, name: str) -> str:
        """Return the recording of the table that `name` matches; "" if none or several match."""
        if name in self.rows:
            return name
        found = (self._by_variant.get(variant, set()) for variant in name_variants(name))
        return next((next(iter(names)) for names in found if len(names) == 1), "")


def _pairs_by_name(audio: _RowIndex, video: _RowIndex) -> list[RecordingPair]:
    """A pair for each recording of either table; recordings that match each other are one pair."""
    matches = {name: audio.find(name) for name in video.names}
    partners = {name: other if video.find(other) == name else "" for name, other in matches.items()}
    if not any(partners.values()):
        raise DataError(
            f"{audio.source} and {video.source}: have no recording in common; fix: list the pairs with --pairs"
        )
    audio_only = set(audio.names) - set(partners.values())
    return [RecordingPair(partners[name], name) for name in video.names] + [
        RecordingPair(name, "") for name in audio.names if name in audio_only
    ]


def _match_rows(
    audio: _RowIndex, video: _RowIndex, pairs: Sequence[RecordingPair]
) -> tuple[tuple[RecordingPair, ...], IntArray, IntArray]:
    """The pair of each row (n,) and its row numbers in the two tables."""
    found: list[tuple[RecordingPair, int, int]] = []
    for pair in pairs:
        names = audio.find(pair.audio), video.find(pair.video)
        for index, wanted, name in zip((audio, video), (pair.audio, pair.video), names, strict=True):
            if wanted and not name:
                raise DataError(f"{index.source}: no recording {wanted!r}, or several that match")
        first, second = audio.rows[names[0]], video.rows[names[1]]
        found += [(pair, first.get(start, NO_ROW), second.get(start, NO_ROW)) for start in sorted({*first, *second})]
    row_pairs, audio_rows, video_rows = zip(*found, strict=True)
    return row_pairs, np.array(audio_rows), np.array(video_rows)


def _check_truth(audio: ScoreTable, video: ScoreTable, audio_rows: IntArray, video_rows: IntArray) -> None:
    if audio.truth is None or video.truth is None:
        return
    for first, second in zip(audio_rows, video_rows, strict=True):
        if NO_ROW not in (first, second) and audio.truth[first] != video.truth[second]:
            raise DataError(
                f"{audio.source} and {video.source}: {video.filenames[second]!r} is {audio.truth[first]!r} in one and "
                f"{video.truth[second]!r} in the other"
            )


def _familiar_rows(table: ScoreTable) -> FloatArray:
    """The probabilities (n, n_scenes) of a table; NaN in unfamiliar rows, where they mean nothing."""
    return np.where(table.familiar[:, None], table.probabilities, np.nan)


def _select_rows(values: FloatArray, rows: IntArray) -> FloatArray:
    """The rows of `values` (n, n_scenes); NaN for NO_ROW."""
    return np.where((rows == NO_ROW)[:, None], np.nan, values[rows])


def _rows_by_pair(pairs: Sequence[RecordingPair], starts: FloatArray | None) -> dict[RecordingPair, IntArray]:
    """The rows of each pair, in order of first appearance and, within a pair, of time."""
    found: dict[RecordingPair, list[int]] = {pair: [] for pair in pairs}
    for row in range(len(pairs)) if starts is None else np.argsort(starts, kind="stable").tolist():
        found[pairs[row]].append(row)
    return {pair: np.array(rows) for pair, rows in found.items()}
