"""TAU's tables and media are found wherever its archives put them, joined by their columns, and checked against what
was published."""

from pathlib import Path

import pytest

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.tau import layout as tau
from avscene.datasets.tau.layout import check_published
from avscene.errors import DataError
from avscene.records import Example
from tests.support import small_tau
from tests.support.small_tau import NAMES, PREFIX, TEST, TRAIN, row, tables, write

EMPTY = {f"{kind}/{name}.{ending}": b"" for name in NAMES for kind, ending in (("audio", "wav"), ("video", "mp4"))}
WHOLE = tables() | EMPTY  # reading a data set opens no media


def moved(content: dict[str, bytes], **folders: str) -> dict[str, bytes]:
    """`content` with each of its top folders, or meta.csv, in another folder; and so evaluation_setup."""
    places = {"meta.csv": folders.get("meta", ""), "evaluation_setup": folders.get("setup", folders.get("meta", ""))}
    places |= {"audio": folders.get("audio", ""), "video": folders.get("video", "")}
    return {f"{places[name.split('/')[0]]}/{name}".lstrip("/"): data for name, data in content.items()}


LAYOUTS = {
    "as unzip does it": moved(WHOLE),
    "all in a folder": moved(WHOLE, **dict.fromkeys(("meta", "audio", "video"), PREFIX)),
    "tables in a folder of their own": moved(WHOLE, meta=f"{PREFIX}.meta"),
    "tables two folders down": moved(WHOLE, meta=f"{PREFIX}.meta/{PREFIX}"),
    "lists apart from meta.csv": moved(WHOLE, setup="lists"),
    "a folder for each kind": moved(WHOLE, meta=f"{PREFIX}.meta", audio=f"{PREFIX}.audio.1", video="v/deep"),
    "media elsewhere, tables above": moved(WHOLE, audio="one", video="two"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_is_found_wherever_it_lies(tmp_path: Path, layout: str) -> None:
    root = write(tmp_path / "tau", LAYOUTS[layout])
    data = read_dataset(root)
    assert [(example.name, example.label, example.group) for example in data.examples] == [
        ("video/airport-lisbon-1175-44106.mp4", "airport", "1175"),
        ("video/bus-lyon-7-2.mp4", "bus", "7"),
        ("video/airport-lyon-1200-1.mp4", "airport", "1200"),
        ("video/metro_station-paris-9-4.mp4", "metro_station", "9"),
    ]
    assert [example.columns for example in data.examples] == [
        {"city": "lisbon", "split": "train"},
        {"city": "lyon", "split": "train"},
        {"city": "lyon", "split": "test"},
        {"city": "paris", "split": "test"},
    ]
    for example in data.examples:
        assert example.audio is not None
        assert example.path.is_file()
        assert example.audio.is_file()
        assert example.audio.stem == example.path.stem


def test_archives_that_were_unpacked_one_by_one(tmp_path: Path) -> None:
    """Each in a folder of its own, as some file managers do it."""
    content = dict(WHOLE)
    for number, name in enumerate(name for name in EMPTY if name.startswith("audio/")):
        content[f"{PREFIX}.audio.{number}/{name}"] = content.pop(name)
    assert len(read_dataset(write(tmp_path, content)).examples) == 4


def test_sound_and_picture_are_joined_by_the_columns_not_by_their_names(tmp_path: Path) -> None:
    content = dict(WHOLE) | {"video/other.mp4": b""}
    meta = content["meta.csv"].decode().replace("video/bus-lyon-7-2.mp4", "video/other.mp4")
    root = write(tmp_path, content | {"meta.csv": meta.encode()})
    example = read_dataset(root).examples[1]
    assert example.audio is not None
    assert (example.path.name, example.audio.name) == ("other.mp4", "bus-lyon-7-2.wav")


def test_a_variant_at_the_end_of_a_name_says_nothing(tmp_path: Path) -> None:
    content = {name.replace("-44106", "-44106-a"): data.replace(b"-44106", b"-44106-a") for name, data in WHOLE.items()}
    example = read_dataset(write(tmp_path, content)).examples[0]
    assert (example.path.stem, example.group) == ("airport-lisbon-1175-44106-a", "1175")
    assert example.columns == {"city": "lisbon", "split": "train"}


def test_two_data_sets_are_not_guessed_between(tmp_path: Path) -> None:
    other = tables(train=TEST, test=TRAIN)
    write(tmp_path, moved(WHOLE, meta="one") | {f"two/{name}": data for name, data in other.items()})
    with pytest.raises(DataError, match=r"holds two data sets, .*one/meta\.csv and .*two/meta\.csv; name the folder"):
        read_dataset(tmp_path)
    (tmp_path / "two" / "meta.csv").write_bytes(WHOLE["meta.csv"])  # the same twice is no question
    assert len(read_dataset(tmp_path).examples) == 4


def test_an_evaluation_set_beside_it_has_no_scenes_and_is_passed_by(tmp_path: Path) -> None:
    evaluation = b"filename_audio\tfilename_video\naudio/0.wav\tvideo/0.mp4\n"
    root = write(tmp_path, moved(WHOLE, meta="development") | {"evaluation/meta.csv": evaluation})
    assert len(read_dataset(root).examples) == 4


def test_folders_of_scenes_are_still_folders_of_scenes(tmp_path: Path) -> None:
    write(tmp_path, {"park/a.mp4": b"", "tram/b.mp4": b"", "tram/meta.csv": b"path,label\n"})
    assert read_dataset(tmp_path).values("split") == ()
    assert [example.label for example in read_dataset(tmp_path).examples] == ["park", "tram"]


# What is missing


def test_a_part_of_the_data_set_says_what_to_do(tmp_path: Path) -> None:
    here = {name: data for name, data in WHOLE.items() if not name.startswith("video/")}
    root = write(tmp_path / "tau", moved(here, meta=f"{PREFIX}.meta"))
    with pytest.raises(DataError) as caught:
        read_dataset(root)
    meta = root / f"{PREFIX}.meta" / "meta.csv"
    assert str(caught.value) == (
        f"{meta}, line 2: video/airport-lisbon-1175-44106.mp4 is not there, and 3 more of 8 files; "
        "name the folder that holds all of the data set, or fetch what is missing: "
        f"avscene data download tau-2021 --output {root}"
    )


def test_examples_alone_are_no_data_set(tmp_path: Path) -> None:
    write(tmp_path, {f"archives/{PREFIX}.examples.zip": b"", "examples/a.mp4": b"", "examples/b.mp4": b""})
    with pytest.raises(DataError, match=r"no meta\.csv .*: avscene data download tau-2021 --output"):
        read_dataset(tmp_path)


def test_another_data_set_of_this_layout_is_not_taken_for_the_published_one(tmp_path: Path) -> None:
    meta = "filename_audio\tfilename_video\tscene_label\naudio/k-home-a-1.wav\tvideo/1.mp4\tkitchen\n"
    root = write(tmp_path, {"meta.csv": meta.encode(), "audio/k-home-a-1.wav": b"", "video/1.mp4": b""})
    assert read_dataset(root).examples[0].label == "kitchen"
    (root / "video/1.mp4").unlink()
    with pytest.raises(DataError, match=r"line 2: video/1\.mp4 is not there$"):
        read_dataset(root)


# What is wrong


def changed(root: Path, old: str, new: str, file: str = "meta.csv") -> Path:
    content = dict(WHOLE)
    assert old.encode() in content[file]
    content[file] = content[file].replace(old.encode(), new.encode())
    return write(root, moved(content, meta=PREFIX))


WRONG = {
    "a scene outside the ten": (
        "airport-lyon-1200-1.mp4\tairport",
        "airport-lyon-1200-1.mp4\tkitchen",
        r"meta\.csv, line 4: scene 'kitchen' is not one of airport, bus, .*, tram",
    ),
    "a scene that is not the name's": (
        "airport-lyon-1200-1.mp4\tairport",
        "airport-lyon-1200-1.mp4\tbus",
        r"meta\.csv, line 4: scene 'bus' is not that of airport-lyon-1200-1\.wav",
    ),
    "a picture twice": (
        "video/bus-lyon-7-2.mp4",
        "video/airport-lisbon-1175-44106.mp4",
        r"line 3: video/airport-lisbon-1175-44106\.mp4 is already on line 2",
    ),
    "a sound twice": (
        "audio/bus-lyon-7-2.wav",
        "audio/airport-lisbon-1175-44106.wav",
        r"line 3: audio/airport-lisbon-1175-44106\.wav is already on line 2",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_the_published_data_set_cannot_hold(tmp_path: Path, kind: str) -> None:
    old, new, message = WRONG[kind]
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(changed(tmp_path, old, new))
    assert "\n" not in str(caught.value)


def test_a_recording_in_both_lists_is_an_error(tmp_path: Path) -> None:
    content = WHOLE | tables(train=TRAIN, test=(*TEST, TRAIN[0]))
    with pytest.raises(
        DataError, match=r"fold1_evaluate\.csv, line 4: audio/airport-lisbon.* for training and for test"
    ):
        read_dataset(write(tmp_path, content | {"meta.csv": WHOLE["meta.csv"]}))


def test_a_location_on_both_sides_is_an_error(tmp_path: Path) -> None:
    twin = "airport-lyon-1175-9"
    content = tables(test=(*TEST, twin)) | EMPTY | {f"audio/{twin}.wav": b"", f"video/{twin}.mp4": b""}
    with pytest.raises(DataError, match=r"group '1175' is in both .* without split=test .* and .* with split=test"):
        read_dataset(write(tmp_path, content))


def test_lists_without_meta_are_no_data_set(tmp_path: Path) -> None:
    write(tmp_path, {name: data for name, data in WHOLE.items() if name != "meta.csv"})
    with pytest.raises(DataError):
        read_dataset(tmp_path)


# Against what was published


def town(train: int, test: int, locations: tuple[int, int]) -> DataSet:
    def part(split: str, count: int, places: int, first: int) -> list[Example]:
        return [
            Example(f"{split}{k}", Path("x"), "bus", str(first + k % places), columns={"split": split})
            for k in range(count)
        ]

    return DataSet(Path("x"), (*part("train", train, locations[0], 0), *part("test", test, locations[1], 10**6)))


def test_the_published_counts() -> None:
    assert check_published(town(8646, 3645, (305, 126))) == ()
    assert check_published(town(8645, 3645, (305, 126))) == (
        "train: 8645 recordings of 305 locations; published are 8646 of 305",
    )
    assert len(check_published(town(8646, 3644, (304, 126)))) == 2


def test_all_of_the_published_rows_are_recognised_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tau, "PUBLISHED", small_tau.PUBLISHED)
    content = WHOLE | {"meta.csv": WHOLE["meta.csv"].replace(row(TEST[0]).encode(), row(TEST[0]).encode() + b"2")}
    with pytest.raises(DataError, match="scene 'airport2' is not one of"):
        read_dataset(write(tmp_path, content))
