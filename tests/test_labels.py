"""Test label sets and the public names of the package."""

import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import avscene
from avscene.errors import UsageError
from avscene.labels import TAU_SCENES, LabelSet, not_english

NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters=","), min_size=1).map(str.strip)
LABELS = st.lists(NAMES.filter(bool), min_size=2, max_size=12, unique_by=lambda name: name.replace("_", " ").casefold())


@given(LABELS)
def test_a_label_set_keeps_its_names_in_their_order(names: list[str]) -> None:
    labels = LabelSet(tuple(names))
    assert list(labels) == names
    assert len(labels) == len(names)
    assert [labels.index(name) for name in names] == list(range(len(names)))
    assert all(name in labels for name in names)
    assert LabelSet.parse(" , ".join(names)) == labels
    assert LabelSet.of(names + names[::-1]).names == tuple(sorted(names))


@given(LABELS)
def test_the_order_is_part_of_a_label_set(names: list[str]) -> None:
    assert LabelSet(tuple(names)) == LabelSet(tuple(names))
    assert hash(LabelSet(tuple(names))) == hash(LabelSet(tuple(names)))
    assert LabelSet(tuple(names)) != LabelSet(tuple(names[::-1]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "label 1 of 1 is empty"),
        ("a,,b", "label 2 of 3 is empty"),
        ("a,b,,", "label 3 of 3 is empty"),
        ("a, ,b", "label 2 of 3 is empty"),
        ("park", "at least two scenes, got 1"),
        ("park,tram, park", "'park' is given twice"),
        ("Kitchen,kitchen", "'Kitchen' and 'kitchen' are one name to a model"),
        ("living room,living_room", "are one name to a model"),
        ("scenes.txt", "scenes.txt: no such file of labels"),
        ("par\tk,tram", "has a tab"),
        ("par\nk,tram", "line break"),
        ("par\rk,tram", "line break"),
    ],
)
def test_invalid_label_lists_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        LabelSet.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["park\ntram\n", "park,tram", "\ufeffpark\r\n\r\n tram \r\n", "park, tram,\n"])
def test_labels_are_read_from_a_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "scenes.txt"
    file.write_bytes(content.encode())
    assert LabelSet.parse(str(file)).names == ("park", "tram")


def test_spaces_and_a_comma_at_the_end_are_forgiven() -> None:
    assert LabelSet.parse(" park ,tram , ").names == ("park", "tram")
    assert LabelSet.named([" park", "tram "]).names == ("park", "tram")


@pytest.mark.parametrize("name", ["厨房", "\N{GRINNING FACE}", "кухня", "park 森", "..."])
def test_names_that_are_not_english_are_found(name: str) -> None:
    assert not_english(["living room", name, "café", "room_2"]) == [name]


@pytest.mark.parametrize("names", [(), ("a", " b"), ("a ", "b")])
def test_invalid_names_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        LabelSet(names)


def test_the_error_for_an_unknown_scene_lists_the_scenes() -> None:
    with pytest.raises(UsageError, match="'pub' is not one of park, tram"):
        LabelSet(("park", "tram")).index("pub")
    assert "pub" not in TAU_SCENES
    assert 3 not in TAU_SCENES


def test_tau_scenes_are_in_the_order_of_the_challenge() -> None:
    assert len(TAU_SCENES) == 10
    assert list(TAU_SCENES) == sorted(TAU_SCENES)
    assert TAU_SCENES.names[0] == "airport"
    assert TAU_SCENES.index("tram") == 9


def test_the_public_names() -> None:
    assert 0 < len(avscene.__all__) <= 12
    for name in avscene.__all__:
        value = getattr(avscene, name)
        if isinstance(value, type) or callable(value):
            assert getattr(importlib.import_module(value.__module__), name) is value
    assert avscene.TAU_SCENES is TAU_SCENES
    assert issubclass(UsageError, avscene.AvsceneError)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = avscene.lode
