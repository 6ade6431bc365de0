"""The tables and media of TAU are found in any folder, joined by columns, and compared with the published counts."""

from pathlib import Path

import pytest

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.tau import layout as tau
from avscene.datasets.tau.layout import check_published
from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.records import Example
from tests.support import small_tau
from tests.support.data_folders import touch
from tests.support.small_tau import NAMES, PREFIX, TEST, TRAIN, row, tables, write

EMPTY = {f"{kind}/{name}.{ending}": b"" for name in NAMES for kind, ending in (("audio", "wav"), ("video", "mp4"))}
WHOLE = tables() | EMPTY  # reading a data set opens no media


def moved(content: dict[str, bytes], **folders: str) -> dict[str, bytes]:
    """Move the top folders of `content` and meta.csv into other folders; the lists follow meta.csv by default."""
    folder_of = {"meta.csv": folders.get("meta", ""), "evaluation_setup": folders.get("setup", folders.get("meta", ""))}
    folder_of |= {"audio": folders.get("audio", ""), "video": folders.get("video", "")}
    return {f"{folder_of[name.split('/')[0]]}/{name}".lstrip("/"): data for name, data in content.items()}


LAYOUTS = {
    "as unzip places them": moved(WHOLE),
    "all in a folder": moved(WHOLE, **dict.fromkeys(("meta", "audio", "video"), PREFIX)),
    "tables in their own folder": moved(WHOLE, meta=f"{PREFIX}.meta"),
    "tables two folders down": moved(WHOLE, meta=f"{PREFIX}.meta/{PREFIX}"),
    "lists not beside meta.csv": moved(WHOLE, setup="lists"),
    "a folder for each kind": moved(WHOLE, meta=f"{PREFIX}.meta", audio=f"{PREFIX}.audio.1", video="v/deep"),
    "media elsewhere, tables above": moved(WHOLE, audio="one", video="two"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_and_media_are_found_in_any_folder(tmp_path: Path, layout: str) -> None:
    root = write(tmp_path / "tau", LAYOUTS[layout])
    data = read_dataset(root)
    assert [(example.name, example.label, example.group) for example in data.examples] == [
        ("video/airport-lisbon-1175-44106.mp4", "airport", "lisbon-1175"),
        ("video/bus-lyon-7-2.mp4", "bus", "lyon-7"),
        ("video/airport-lyon-1200-1.mp4", "airport", "lyon-1200"),
        ("video/metro_station-paris-9-4.mp4", "metro_station", "paris-9"),
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


def test_archives_unpacked_into_one_folder_each(tmp_path: Path) -> None:
    content = dict(WHOLE)
    for number, name in enumerate(name for name in EMPTY if name.startswith("audio/")):
        content[f"{PREFIX}.audio.{number}/{name}"] = content.pop(name)
    assert len(read_dataset(write(tmp_path, content)).examples) == 4


def test_audio_and_video_are_joined_by_columns_not_by_names(tmp_path: Path) -> None:
    content = dict(WHOLE) | {"video/other.mp4": b""}
    meta = content["meta.csv"].decode().replace("video/bus-lyon-7-2.mp4", "video/other.mp4")
    root = write(tmp_path, content | {"meta.csv": meta.encode()})
    example = read_dataset(root).examples[1]
    assert example.audio is not None
    assert (example.path.name, example.audio.name) == ("other.mp4", "bus-lyon-7-2.wav")


def test_a_suffix_of_the_name_is_ignored(tmp_path: Path) -> None:
    content = {name.replace("-44106", "-44106-a"): data.replace(b"-44106", b"-44106-a") for name, data in WHOLE.items()}
    example = read_dataset(write(tmp_path, content)).examples[0]
    assert (example.path.stem, example.group) == ("airport-lisbon-1175-44106-a", "lisbon-1175")
    assert example.columns == {"city": "lisbon", "split": "train"}


def test_two_different_tables_are_an_error(tmp_path: Path) -> None:
    other = tables(train=TEST, test=TRAIN)
    write(tmp_path, moved(WHOLE, meta="one") | {f"two/{name}": data for name, data in other.items()})
    with pytest.raises(DataError, match=r"holds two data sets, .*one/meta\.csv and .*two/meta\.csv; name the folder"):
        read_dataset(tmp_path)
    (tmp_path / "two" / "meta.csv").write_bytes(WHOLE["meta.csv"])  # two equal tables are fine
    assert len(read_dataset(tmp_path).examples) == 4


def test_tables_without_scenes_are_ignored(tmp_path: Path) -> None:
    evaluation = b"filename_audio\tfilename_video\naudio/0.wav\tvideo/0.mp4\n"
    root = write(tmp_path, moved(WHOLE, meta="development") | {"evaluation/meta.csv": evaluation})
    assert len(read_dataset(root).examples) == 4


def test_class_folders_are_not_taken_for_tau(tmp_path: Path) -> None:
    write(tmp_path, {"park/a.mp4": b"", "tram/b.mp4": b"", "tram/meta.csv": b"path,label\n"})
    assert read_dataset(tmp_path).values("split") == ()
    assert [example.label for example in read_dataset(tmp_path).examples] == ["park", "tram"]


def write_tau(root: Path, names: tuple[str, ...], *, extra: str = "") -> Path:
    """Make a TAU data set of empty files, without lists; `extra` follows the rows of meta.csv."""
    files = (f"{kind}/{name}.{suffix}" for name in names for kind, suffix in (("audio", "wav"), ("video", "mp4")))
    meta = tables(train=names, test=())["meta.csv"].decode() + extra
    return write(root, {"meta.csv": meta.encode(), **dict.fromkeys(files, b"")})


def write_lists(root: Path, train: tuple[str, ...], test: tuple[str, ...]) -> None:
    """Write the lists of the split."""
    content = tables(train=train, test=test)
    del content["meta.csv"]
    write(root, content)


FIVE = ("airport-lisbon-1175-44106", "airport-lyon-1200-1", "bus-lyon-7-2", "bus-paris-8-3", "metro_station-paris-9-4")


def test_examples_have_location_city_and_split(tmp_path: Path) -> None:
    root = write_tau(tmp_path / "tau", FIVE)
    write_lists(root, train=(FIVE[0], FIVE[2]), test=(FIVE[1], FIVE[3]))
    data = read_dataset(root)
    first = data.examples[0]
    assert first.name == "video/airport-lisbon-1175-44106.mp4"
    assert first.path == root / "video" / "airport-lisbon-1175-44106.mp4"
    assert first.audio == root / "audio" / "airport-lisbon-1175-44106.wav"
    assert (first.label, first.group) == ("airport", "lisbon-1175")
    assert first.columns == {"city": "lisbon", "split": "train"}
    assert data.labels == LabelSet(("airport", "bus", "metro_station"))
    assert data.values("split") == ("test", "train")
    rest, held = data.hold_out("split=test")
    assert [example.group for example in held.examples] == ["lyon-1200", "paris-8"]
    assert [example.group for example in rest.examples] == ["lisbon-1175", "lyon-7", "paris-9"]  # 9 is in no list
    assert read_dataset(root / "meta.csv").examples == data.examples


def test_without_lists_there_is_no_split(tmp_path: Path) -> None:
    data = read_dataset(write_tau(tmp_path / "tau", FIVE[:2]))
    assert data.values("split") == ()
    assert data.values("city") == ("lisbon", "lyon")


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    root = write_tau(tmp_path / "tau", FIVE[:3])
    plain = read_dataset(root)
    content = (root / "meta.csv").read_bytes().replace(b"\n", b"\r\n")
    (root / "meta.csv").write_bytes(b"\xef\xbb\xbf" + content)
    assert read_dataset(root).examples == plain.examples


MALFORMED = {
    "a missing audio file": (f"{row('bus-lyon-1-9')}\tlyon-1\n", r"line 4: audio/bus-lyon-1-9\.wav: file not found"),
    "no label": ("audio/x.wav\tvideo/x.mp4\t\tlyon-1\n", "line 4: one of filename_audio, .* is empty"),
    "a short line": ("audio/x.wav\n", "line 4: 1 columns, but the header has 4"),
    "a repeated row": (f"{row(FIVE[0])}\tlisbon-1175\n", r"line 4: .* is already on line 2"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_table_is_an_error(tmp_path: Path, kind: str) -> None:
    extra, message = MALFORMED[kind]
    root = write_tau(tmp_path / "tau", FIVE[:2], extra=extra)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(root)
    assert str(root / "meta.csv") in str(caught.value)


def test_a_name_without_its_parts_is_an_error(tmp_path: Path) -> None:
    root = write_tau(tmp_path / "tau", FIVE[:2])
    touch(root, "audio/x.wav", "video/x.mp4")
    with (root / "meta.csv").open("a") as file:
        file.write("audio/x.wav\tvideo/x.mp4\tbus\tx\n")
    with pytest.raises(DataError, match=r"line 4: x\.wav is not named scene-city-location-segment"):
        read_dataset(root)


# Missing files


def test_missing_media_are_reported_with_the_download_command(tmp_path: Path) -> None:
    here = {name: data for name, data in WHOLE.items() if not name.startswith("video/")}
    root = write(tmp_path / "tau", moved(here, meta=f"{PREFIX}.meta"))
    with pytest.raises(DataError) as caught:
        read_dataset(root)
    meta = root / f"{PREFIX}.meta" / "meta.csv"
    assert str(caught.value) == (
        f"{meta}, line 2: video/airport-lisbon-1175-44106.mp4: file not found, and 3 more of 8 files; "
        "name the folder that holds the whole data set, or download what is missing: "
        f"avscene data download tau-2021 --output {root}"
    )


def test_archives_without_a_table_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, {f"archives/{PREFIX}.examples.zip": b"", "examples/a.mp4": b"", "examples/b.mp4": b""})
    with pytest.raises(DataError, match=r"no meta\.csv .*: avscene data download tau-2021 --output"):
        read_dataset(tmp_path)


def test_another_data_set_in_this_layout_may_have_other_scenes(tmp_path: Path) -> None:
    meta = "filename_audio\tfilename_video\tscene_label\naudio/k-home-a-1.wav\tvideo/1.mp4\tkitchen\n"
    root = write(tmp_path, {"meta.csv": meta.encode(), "audio/k-home-a-1.wav": b"", "video/1.mp4": b""})
    assert read_dataset(root).examples[0].label == "kitchen"
    (root / "video/1.mp4").unlink()
    with pytest.raises(DataError, match=r"line 2: video/1\.mp4: file not found$"):
        read_dataset(root)


# Malformed tables


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
    "a scene that differs from the name": (
        "airport-lyon-1200-1.mp4\tairport",
        "airport-lyon-1200-1.mp4\tbus",
        r"meta\.csv, line 4: scene 'bus' is not that of airport-lyon-1200-1\.wav",
    ),
    "a repeated video file": (
        "video/bus-lyon-7-2.mp4",
        "video/airport-lisbon-1175-44106.mp4",
        r"line 3: video/airport-lisbon-1175-44106\.mp4 is already on line 2",
    ),
    "a repeated audio file": (
        "audio/bus-lyon-7-2.wav",
        "audio/airport-lisbon-1175-44106.wav",
        r"line 3: audio/airport-lisbon-1175-44106\.wav is already on line 2",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_rows_that_the_published_data_set_cannot_have(tmp_path: Path, kind: str) -> None:
    old, new, message = WRONG[kind]
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(changed(tmp_path, old, new))
    assert "\n" not in str(caught.value)


def test_the_number_of_a_location_in_another_city_is_another_group(tmp_path: Path) -> None:
    other = "airport-lyon-1175-9"
    content = tables(test=(*TEST, other)) | EMPTY | {f"audio/{other}.wav": b"", f"video/{other}.mp4": b""}
    groups = {example.group for example in read_dataset(write(tmp_path, content)).examples}
    assert {"lisbon-1175", "lyon-1175"} <= groups


@pytest.mark.parametrize("separator", [",", ";"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    plain = read_dataset(write(tmp_path / "plain", WHOLE))
    content = {
        name: data.replace(b"\t", separator.encode()) if name.endswith(".csv") else data for name, data in WHOLE.items()
    }
    data = read_dataset(write(tmp_path / "other", content))
    assert [(e.name, e.label, e.group, e.columns) for e in data.examples] == [
        (e.name, e.label, e.group, e.columns) for e in plain.examples
    ]


def test_a_recording_in_both_lists_is_an_error(tmp_path: Path) -> None:
    content = WHOLE | tables(train=TRAIN, test=(*TEST, TRAIN[0]))
    with pytest.raises(
        DataError, match=r"fold1_evaluate\.csv, line 4: audio/airport-lisbon.* in the training and in the test list"
    ):
        read_dataset(write(tmp_path, content | {"meta.csv": WHOLE["meta.csv"]}))


def test_a_location_on_both_sides_of_the_split_is_an_error(tmp_path: Path) -> None:
    twin = "airport-lisbon-1175-9"
    content = tables(test=(*TEST, twin)) | EMPTY | {f"audio/{twin}.wav": b"", f"video/{twin}.mp4": b""}
    with pytest.raises(
        DataError, match=r"group 'lisbon-1175' is in both .* without split=test .* and .* with split=test"
    ):
        read_dataset(write(tmp_path, content))


def test_lists_without_a_meta_csv_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, {name: data for name, data in WHOLE.items() if name != "meta.csv"})
    with pytest.raises(DataError):
        read_dataset(tmp_path)


# Published counts


def data_set(train: int, test: int, locations: tuple[int, int]) -> DataSet:
    def part(split: str, count: int, locations: int, first: int) -> list[Example]:
        return [
            Example(f"{split}{k}", Path("x"), "bus", str(first + k % locations), columns={"split": split})
            for k in range(count)
        ]

    return DataSet(Path("x"), (*part("train", train, locations[0], 0), *part("test", test, locations[1], 10**6)))


def test_published_counts() -> None:
    assert check_published(data_set(8646, 3645, (305, 126))) == ()
    assert check_published(data_set(8645, 3645, (305, 126))) == (
        "train: 8645 recordings of 305 locations; published are 8646 of 305",
    )
    assert len(check_published(data_set(8646, 3644, (304, 126)))) == 2


def test_a_table_of_the_published_length_is_checked_as_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tau, "PUBLISHED", small_tau.PUBLISHED)
    content = WHOLE | {"meta.csv": WHOLE["meta.csv"].replace(row(TEST[0]).encode(), row(TEST[0]).encode() + b"2")}
    with pytest.raises(DataError, match="scene 'airport2' is not one of"):
        read_dataset(write(tmp_path, content))
