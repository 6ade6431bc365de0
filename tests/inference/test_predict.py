"""Test prediction tables of labelled recordings."""

from pathlib import Path

import pytest

from avscene.errors import DataError
from avscene.inference.predict import check_scenes
from avscene.labels import LabelSet
from avscene.records import Example


def test_scenes_outside_the_label_set_of_the_system_are_refused() -> None:
    examples = [Example(f"{scene}-1-0.mp4", Path("x.mp4"), scene, f"{scene}1") for scene in ("bus", "park", "tram")]
    check_scenes(examples, Path("meta.csv"), LabelSet(("bus", "park", "tram", "metro")))
    message = (
        r"^meta\.csv: scene 'tram' \(tram-1-0\.mp4\) is not one of the system's: bus, park; "
        r"to leave the labels out: --unlabelled$"
    )
    with pytest.raises(DataError, match=message):
        check_scenes(examples, Path("meta.csv"), LabelSet(("bus", "park")))
