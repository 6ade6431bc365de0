"""Test what is said of data without groups or with few groups of a scene."""

from pathlib import Path

from avscene.datasets.dataset import DataSet
from avscene.records import Example
from avscene.training.groups_advice import FEW_GROUPS, group_warnings


def data(groups: dict[str, int], recordings: int = 2) -> DataSet:
    """Return a data set with so many groups of each scene, each of some recordings."""
    return DataSet(
        Path("data"),
        tuple(
            Example(f"{scene}-{group}-{number}.mp4", "x", scene, f"{scene}{group}")
            for scene, count in groups.items()
            for group in range(count)
            for number in range(recordings)
        ),
    )


def test_files_without_groups() -> None:
    without = DataSet(
        Path("data"), tuple(Example(f"{n}.mp4", "x", ("park", "tram")[n % 2], f"{n}.mp4") for n in range(60))
    )
    (warning,) = group_warnings(without)
    assert warning.startswith(
        "60 files without groups: recordings of one place may be on both sides; figures are optimistic"
    )
    assert "what would help most: a column 'group' in meta.csv" in warning


def test_some_files_without_groups() -> None:
    with_groups = data({"park": 5, "tram": 5})
    some = DataSet(Path("data"), (*with_groups.examples, Example("x.mp4", "x", "park", "x.mp4")))
    (warning,) = group_warnings(some)
    assert warning.startswith("1 of 21 files without groups")


def test_few_groups_of_a_scene() -> None:
    (warning,) = group_warnings(data({"park": 3, "tram": 9, "bus": 3}))
    assert warning.startswith("few groups: 3 of bus, park; figures depend on single places; what would help most:")


def test_enough_groups_need_no_warning() -> None:
    assert group_warnings(data({"park": FEW_GROUPS, "tram": FEW_GROUPS})) == ()
