"""A table of sound and one of the picture to rows side by side: what is heard beside what is seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.records import BoolArray, FloatArray
from avscene.tables.names import name_variants
from avscene.tables.score_table import ScoreTable

_TIME_DECIMALS = 6  # of a second: starts are sums of hops and differ in the last digits
_ABSENT = -1  # in place of a row that a table does not have

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RecordingPair:
    """The recording whose sound is heard and the one whose picture is seen, by name; "" is none.

    `mismatch` tells whether they do not belong together; None where that is not known.
    """

    audio: str
    video: str
    mismatch: bool | None = None

    @property
    def name(self) -> str:
        """What the pair is called: as its picture, or as its sound where there is no picture."""
        return self.video or self.audio


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
    """Probabilities (n, n_scenes) of sound and of picture, row by row, in the order of `labels`.

    A row of NaN says that this modality is missing there. Rows of equal `pairs` are of one recording; `starts` (n,) are
    in seconds. `truth` (n,) are scene indices and `groups` places, where they are known.

    Raises:
        ValueError: the shapes do not fit.
    """

    labels: LabelSet
    pairs: tuple[RecordingPair, ...]
    audio: FloatArray
    video: FloatArray
    starts: FloatArray | None = None
    truth: Rows | None = None
    groups: tuple[str, ...] | None = None
    recordings: Mapping[RecordingPair, Rows] = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.pairs), len(self.labels))
        if self.audio.shape != shape or self.video.shape != shape:
            raise ValueError(f"scores of shapes {self.audio.shape} and {self.video.shape} are not {shape}")
        object.__setattr__(self, "recordings", _grouped(self.pairs, self.starts))

    @property
    def complete(self) -> BoolArray:
        """(n,) whether both modalities are there."""
        return np.asarray(~np.isnan(self.audio[:, 0]) & ~np.isnan(self.video[:, 0]))


def pair_tables(audio: ScoreTable, video: ScoreTable, pairs: Sequence[RecordingPair] | None = None) -> PairedScores:
    """The rows of both tables side by side: those of each pair with equal starts; without `pairs` those of one name.

    Names are matched as written, then without folders, then without endings, as far as that means one recording. A row
    that only one table has is paired with NaN. Truth and groups are the picture's, else the sound's.

    Raises:
        DataError: the tables have other scenes, only one has starts, they have no recording in common, or lack one of
            `pairs`; rows of one name differ in their truth.
    """
    if set(audio.labels) != set(video.labels):
        odd = sorted(set(audio.labels) ^ set(video.labels))
        raise DataError(f"{audio.source} and {video.source}: scene {odd[0]!r} is only in one of them")
    if (audio.starts is None) != (video.starts is None):
        lacking = audio if audio.starts is None else video
        raise DataError(f"{lacking.source}: has no column start, which the other table has")
    heard, seen = _Index(audio), _Index(video)
    listed, left, right = _side_by_side(heard, seen, _of_one_name(heard, seen) if pairs is None else pairs)
    columns = [audio.labels.index(scene) for scene in video.labels]
    if pairs is None:
        _check_truth(audio, video, left, right)
    truth = None if audio.truth is None or video.truth is None else _either(audio.truth, video.truth, left, right)
    groups = None if audio.groups is None or video.groups is None else _either(audio.groups, video.groups, left, right)
    return PairedScores(
        video.labels,
        listed,
        _taken(audio.probabilities[:, columns], left),
        _taken(video.probabilities, right),
        starts=None if video.starts is None else _either(audio.starts, video.starts, left, right).astype(np.float64),
        truth=None if truth is None else np.array([video.labels.index(scene) for scene in truth]),
        groups=None if groups is None else tuple(groups.tolist()),
    )


class _Index:
    """The rows of a table by recording and start; a recording is found by any spelling that means it alone."""

    def __init__(self, table: ScoreTable) -> None:
        self.source = table.source
        self.rows: dict[str, dict[float, int]] = {"": {}}
        starts = np.zeros(len(table)) if table.starts is None else table.starts.round(_TIME_DECIMALS)
        for row, (name, start) in enumerate(zip(table.filenames, starts.tolist(), strict=True)):
            self.rows.setdefault(name, {})[start] = row
        self._meant: dict[str, set[str]] = {}
        for name in self.names:
            for spelling in name_variants(name):
                self._meant.setdefault(spelling, set()).add(name)

    @property
    def names(self) -> list[str]:
        return [name for name in self.rows if name]

    def find(self, name: str) -> str:
        """The recording of the table that `name` means; "" if there is none, or more than one could be meant."""
        if name in self.rows:
            return name
        found = (self._meant.get(spelling, set()) for spelling in name_variants(name))
        return next((next(iter(names)) for names in found if len(names) == 1), "")


def _of_one_name(heard: _Index, seen: _Index) -> list[RecordingPair]:
    """A pair for each recording of either table; two are one where each means the other."""
    meant = {name: heard.find(name) for name in seen.names}
    partners = {name: other if seen.find(other) == name else "" for name, other in meant.items()}
    if not any(partners.values()):
        raise DataError(
            f"{heard.source} and {seen.source}: have no recording in common; --pairs says what goes with what"
        )
    alone = set(heard.names) - set(partners.values())
    return [RecordingPair(partners[name], name) for name in seen.names] + [
        RecordingPair(name, "") for name in heard.names if name in alone
    ]


def _side_by_side(
    heard: _Index, seen: _Index, pairs: Sequence[RecordingPair]
) -> tuple[tuple[RecordingPair, ...], Rows, Rows]:
    """The pair of each row and its rows in the two tables."""
    found: list[tuple[RecordingPair, int, int]] = []
    for pair in pairs:
        names = heard.find(pair.audio), seen.find(pair.video)
        for index, asked, name in zip((heard, seen), (pair.audio, pair.video), names, strict=True):
            if asked and not name:
                raise DataError(f"{index.source}: {asked!r} is no recording in it, or means more than one")
        first, second = heard.rows[names[0]], seen.rows[names[1]]
        found += [(pair, first.get(at, _ABSENT), second.get(at, _ABSENT)) for at in sorted({*first, *second})]
    listed, left, right = zip(*found, strict=True)
    return listed, np.array(left), np.array(right)


def _check_truth(audio: ScoreTable, video: ScoreTable, left: Rows, right: Rows) -> None:
    if audio.truth is None or video.truth is None:
        return
    for heard, seen in zip(left, right, strict=True):
        if _ABSENT not in (heard, seen) and audio.truth[heard] != video.truth[seen]:
            raise DataError(
                f"{audio.source} and {video.source}: {video.filenames[seen]!r} is {audio.truth[heard]!r} in one and "
                f"{video.truth[seen]!r} in the other"
            )


def _taken(values: FloatArray, rows: Rows) -> FloatArray:
    return np.where((rows == _ABSENT)[:, None], np.nan, values[rows])


def _either(audio: object, video: object, left: Rows, right: Rows) -> npt.NDArray[np.generic]:
    """Of each row what the picture's table says, or the sound's where that has no such row."""
    return np.where(right == _ABSENT, np.asarray(audio)[left], np.asarray(video)[right])


def _grouped(pairs: Sequence[RecordingPair], starts: FloatArray | None) -> dict[RecordingPair, Rows]:
    """The rows of each pair, in order of first appearance and, within a pair, of time."""
    found: dict[RecordingPair, list[int]] = {pair: [] for pair in pairs}
    for row in range(len(pairs)) if starts is None else np.argsort(starts, kind="stable").tolist():
        found[pairs[row]].append(row)
    return {pair: np.array(rows) for pair, rows in found.items()}
