"""Test the path of an archivist: a folder, a run that is killed and continued, a table for Excel, and a page.

Real files, `conse`, and a process that is really killed. The table is read by the csv module and pandas, the page by
Python's HTML parser.
"""

import base64
import csv
import io
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from PIL import Image

import avscene
from tests.support.command_line import Command, run
from tests.support.html_page import Page
from tests.support.media_files import write_media
from tests.support.processes import wait_until

SCENES = ("kitchen", "street", "forest")
SYSTEM = ("--system", "conse", "--labels", ",".join(SCENES))
N_COPIES = 140  # so many that they are committed in several parts
EMPTY_JOURNAL = 30_000  # bytes, at most
NAMES = ("été/Gare de Lyon, départ.mp4", "=SUM(A1).mp4", "<script>alert(1)</script> & 'b'.mp4", "映画.mp4")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with an archive: names of many kinds, a file that is no recording, and files of other kinds."""
    monkeypatch.chdir(tmp_path)
    made = write_media(tmp_path / "made.mp4", 2.0)
    for name in NAMES:
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, path)
    for number in range(N_COPIES):
        os.link(made, tmp_path / "archive" / f"zz-{number:03}.mp4")
    (tmp_path / "archive" / "broken.mp4").write_text("this is no recording\n" * 100)
    for name in ("notes.doc", "list.xls", "more.xls"):
        (tmp_path / "archive" / name).write_text("text")
    made.unlink()
    return tmp_path


@pytest.fixture
def command(here: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    return partial(run, capfd)


def sources() -> list[str]:
    """Return the recordings of the archive in the order in which a folder is searched."""
    return sorted(map(str, Path("archive").rglob("*.mp4")))


def test_folder_killed_continued_table_and_page(here: Path, command: Command) -> None:
    arguments = ["classify", "archive", *SYSTEM, "--output", "new/folder/scenes.csv"]
    journal = Path("new/folder/scenes.csv.journal")
    process = subprocess.Popen([sys.executable, "-m", "avscene", *arguments], stderr=subprocess.PIPE)
    wait_until(_Growth(journal), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not Path("new/folder/scenes.csv").exists()

    done = command(*arguments)
    assert done.code == 3
    failure, scenes, summary = done.messages
    n_files = len(NAMES) + N_COPIES + 1
    assert failure.startswith("archive/broken.mp4: is not a media file")
    assert scenes.startswith("scenes: ")
    assert summary.startswith(f"{n_files - 1} of {n_files} recordings done, 1 failed (1 media), ")
    assert " known from the journal" in summary
    minutes = 2 * (n_files - 1) / 60
    assert f"; {minutes:.1f} minutes of media in all; " in summary
    assert "; 3 files ignored, no media files by their suffix (.xls 2, .doc 1); " in summary
    assert summary.endswith("; written to new/folder/scenes.csv")
    check_table(Path("new/folder/scenes.csv"))

    for name, options in (
        ("recordings.parquet", ("--rows", "recordings")),
        ("spans.tsv", ("--rows", "spans")),
        ("page.html", ()),
    ):
        again = command("classify", "archive", *SYSTEM, "--output", name, "--journal", journal, *options)
        assert f"{n_files} known from the journal" in again.messages[-1]
    check_recordings(Path("recordings.parquet"))
    check_spans(Path("spans.tsv"))
    check_page(Path("page.html"))
    assert not list(here.glob("*.journal"))


class _Growth:
    """Whether a journal has outcomes for certain: it grows with each commit, and a second one began after the first."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._sizes: set[int] = set()

    def __call__(self) -> bool:
        if self._journal.exists():
            self._sizes.add(self._journal.stat().st_size)
        return len([size for size in self._sizes if size > EMPTY_JOURNAL]) > 1


def check_table(path: Path) -> None:
    assert path.read_bytes().startswith(b"\xef\xbb\xbffilename,start,end,")  # by which Excel recognises UTF-8
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["filename"][0] not in "=+-@\t\r"
    expected = [name for name in sources() for _ in range(1 if "broken" in name else 2)]
    assert [os.path.normpath(row["filename"]) for row in rows] == expected
    table = pd.read_csv(path)  # with the default encoding, which drops the mark
    failed = table[table["error"].notna()]
    assert failed["filename"].tolist() == ["archive/broken.mp4"]
    assert failed["error"].str.startswith("is not a media file").all()
    assert failed[["start", "end", "scene_label", "score", *SCENES]].isna().all(axis=None)
    good = table[table["error"].isna()]
    assert good["start"].tolist() == [0.0, 1.0] * (len(good) // 2)
    assert good["end"].tolist() == [1.0, 2.0] * (len(good) // 2)
    assert (good[[*SCENES]].idxmax(axis=1) == good["scene_label"]).all()
    assert (good[[*SCENES]].max(axis=1) == good["score"]).all()
    prediction = avscene.load("conse", labels=SCENES).classify(f"archive/{NAMES[0]}").to_dict()
    ours = good[good["filename"] == f"archive/{NAMES[0]}"]
    for row, segment in zip(ours.itertuples(), prediction["segments"], strict=True):
        assert (row.start, row.end, row.scene_label) == (segment["start"], segment["end"], segment["scene"])
        assert [getattr(row, name) for name in SCENES] == pytest.approx(list(segment["scores"].values()), abs=1e-6)


def check_recordings(path: Path) -> None:
    table = pyarrow.parquet.read_table(path).to_pandas()
    assert table["filename"].tolist() == sources()
    good = table[table["error"].isna()]
    assert len(good) == len(table) - 1
    assert (good["end"] == 2.0).all()
    assert good[[*SCENES]].sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert (good["scene_label"] == good["scenes"]).all()


def check_spans(path: Path) -> None:
    table = pd.read_csv(path, sep="\t")
    lengths = (table["end"] - table["start"]).groupby(table["filename"]).sum()
    assert sorted(lengths[lengths > 0].unique()) == [2.0]


def check_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    page = Page(text)  # raises unless all elements are closed
    rows = [attributes for attributes in page.attributes("tr") if "data-states" in attributes]
    assert len(rows) == len(sources())
    assert [attributes["data-states"] for attributes in rows].count("failed") == 1
    assert "".join(page.texts["span"]).count("broken.mp4") == 1
    names = [name for name in page.texts["span"] if name.endswith(".mp4")]
    assert names == [Path(name).name for name in sources()]  # also the ones with markup
    assert not [attributes for attributes in page.attributes("script") if attributes]
    assert len(page.attributes("script")) == 1
    images = [attributes["src"] for attributes in page.attributes("img")]
    assert len(images) == len(rows) - 1
    for source in images[:3]:
        kind, _, content = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        image = Image.open(io.BytesIO(base64.b64decode(content)))
        assert image.format == "JPEG"
        assert max(image.size) <= 160
        assert len(content) < 8000
    # Nothing is requested from elsewhere.
    links = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")]
    assert all(link.startswith("data:") for link in links)
    assert "http" not in text.replace("http-equiv", "")
    assert "url(" not in text
    assert "@import" not in text
