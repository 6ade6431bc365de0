"""Test the parts of a data set: conditions, and groups that stay whole."""

from pathlib import Path

import pytest

from avscene.datasets.dataset import MEDIA_SUFFIXES, DataSet, is_media
from avscene.errors import DataError
from avscene.records import Example

LABELS = ("bus", "park", "tram")


def dataset(folds: int = 5, **columns: str) -> DataSet:
    """Three scenes, two recordings of one group in every fold."""
    examples = [
        Example(
            f"{scene}-{fold}-{number}.mp4", Path("x"), scene, f"{scene}{fold}", columns={"fold": str(fold), **columns}
        )
        for scene in LABELS
        for fold in range(1, folds + 1)
        for number in range(2)
    ]
    return DataSet(Path("data/meta.csv"), tuple(examples))


def names(data: DataSet) -> set[str]:
    return {example.name for example in data.examples}


def test_only_selects_by_column_label_or_group() -> None:
    part = dataset().only("fold=5")
    assert len(part.examples) == 6
    assert {example.columns["fold"] for example in part.examples} == {"5"}
    assert {example.label for example in dataset().only("label=park").examples} == {"park"}
    assert names(dataset().only("group=tram2")) == {"tram-2-0.mp4", "tram-2-1.mp4"}


def test_hold_out_splits_all_recordings() -> None:
    data = dataset()
    rest, held = data.hold_out("fold=5")
    assert names(held) == names(data.only("fold=5"))
    assert names(rest) | names(held) == names(data)
    assert not names(rest) & names(held)
    assert not {example.group for example in rest.examples} & {example.group for example in held.examples}
    assert [example for example in data.examples if example in rest.examples] == list(rest.examples)  # in order


def test_a_value_may_hold_an_equals_sign() -> None:
    assert len(dataset(note="a=b").only("note=a=b").examples) == 30


@pytest.mark.parametrize("condition", ["fold", "fold=", "=5", "", "="])
def test_a_malformed_condition_is_an_error(condition: str) -> None:
    for part in (dataset().only, dataset().hold_out):
        with pytest.raises(DataError, match="is not COLUMN=VALUE, such as fold=5"):
            part(condition)


def test_an_unknown_column_is_reported_with_the_known_ones() -> None:
    for part in (dataset().only, dataset().hold_out):
        with pytest.raises(DataError, match=r"meta\.csv: has no column 'flod'; it has fold, group, label"):
            part("flod=5")


def test_an_unknown_value_is_reported_with_the_known_ones() -> None:
    for part in (dataset().only, dataset().hold_out):
        with pytest.raises(DataError, match=r"no recording has fold=6; fold is one of 1, 2, 3, 4, 5$"):
            part("fold=6")
    with pytest.raises(DataError, match=r"fold is one of .*, \.\.\.; did you mean 9\?$"):
        dataset(folds=13).only("fold=99")


def test_holding_out_everything_is_an_error() -> None:
    with pytest.raises(DataError, match="every recording has year=2021; nothing is left to train on"):
        dataset(year="2021").hold_out("year=2021")


def test_a_group_on_both_sides_is_an_error_and_named() -> None:
    data = dataset()
    stray = Example("stray.mp4", Path("x"), "bus", "bus5", columns={"fold": "1"})
    mixed = DataSet(data.source, (*data.examples, stray))
    with pytest.raises(
        DataError, match=r"group 'bus5' is in both .* without fold=5 \(stray\.mp4\) and .* with fold=5 \(bus-5-0\.mp4\)"
    ):
        mixed.hold_out("fold=5")
    assert "stray.mp4" not in names(mixed.only("fold=5"))  # looking at a part is no split


def test_a_data_set_without_recordings_is_an_error() -> None:
    with pytest.raises(DataError, match=r"meta\.csv: holds no recordings"):
        DataSet(Path("meta.csv"), ())


def test_a_single_scene_is_an_error() -> None:
    data = dataset().only("label=park")
    with pytest.raises(DataError, match=r"all recordings are of one scene \(park\); at least two scenes are needed"):
        _ = data.labels


@pytest.mark.parametrize("name", ["x.mp4", "x.MP4", "x.wav", "x.jpg", "a.b.webm", "x.m2ts"])
def test_media_names(name: str) -> None:
    assert is_media(Path(name))


@pytest.mark.parametrize("name", ["x.txt", "mp4", "x.csv", ".mp4", "x.mp4.part", "x"])
def test_other_names(name: str) -> None:
    assert not is_media(Path(name))


def test_media_suffixes_are_lower_case_without_dots() -> None:
    assert all(suffix == suffix.lower().strip(".") for suffix in MEDIA_SUFFIXES)
