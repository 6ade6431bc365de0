"""The list of published archives is that of Zenodo, and its subsets are those of the command line."""

import json
from pathlib import Path

import pytest

from avscene.datasets.tau import archives
from avscene.datasets.tau.archives import data_set_name_of, format_bytes, published_data_sets
from avscene.errors import UsageError
from tests.support import small_tau
from tests.support.archive_server import ArchiveServer
from tests.support.downloads import ONE_ARCHIVE, download_all

FACTS = Path(__file__).parents[4] / "shared" / "tau_urban_av_scenes_2021.json"


def test_published_archives() -> None:
    development, evaluation = published_data_sets()["tau-2021"], published_data_sets()["tau-2021-evaluation"]
    assert [len(published.archives) for published in (development, evaluation)] == [27, 16]
    assert round(sum(archive.bytes for archive in development.archives) / 1e9, 2) == 107.74
    assert round(sum(archive.bytes for archive in evaluation.archives) / 1e9, 2) == 61.25
    every = [*development.archives, *evaluation.archives]
    assert len({archive.name for archive in every}) == len({archive.md5 for archive in every}) == len(every)
    assert all(len(archive.md5) == 32 and int(archive.md5, 16) for archive in every)
    assert all(published.source.startswith("https://zenodo.org/") for published in published_data_sets().values())
    assert data_set_name_of(evaluation.archives[3].name) == "tau-2021-evaluation"


@pytest.mark.skipif(not FACTS.is_file(), reason="the facts of the data set are not in ../shared")
def test_published_archives_equal_the_facts() -> None:
    facts = json.loads(FACTS.read_text())
    for name, ours in (("development", "tau-2021"), ("evaluation", "tau-2021-evaluation")):
        listed = [archive.model_dump() for archive in published_data_sets()[ours].archives]
        assert listed == facts[name]["files"]
        assert published_data_sets()[ours].source == facts[name]["source"]


def test_subsets(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(small_tau.archives(small_tau.tables() | {"audio/a.wav": b"a", "video/a.mp4": b"a"}))
    labels = {name: [archive.label for archive in published.subset(name)] for name in archives.SUBSETS}
    assert labels == {
        "examples": ["doc.zip", "examples.zip"],
        "meta": ["doc.zip", "meta.zip"],
        "audio": ["doc.zip", "meta.zip", "audio.1.zip", "audio.2.zip"],
        "video": ["doc.zip", "meta.zip", "video.1.zip"],
        "all": ["doc.zip", "meta.zip", "examples.zip", "audio.1.zip", "audio.2.zip", "video.1.zip"],
    }
    assert download_all(published, tmp_path, "meta") == labels["meta"]
    assert download_all(published, tmp_path, "audio") == ["audio.1.zip", "audio.2.zip"]
    with pytest.raises(UsageError, match="--subset 'sound' is not one of examples, meta, audio, video, all"):
        published.subset("sound")
    with pytest.raises(UsageError, match="has no audio"):
        server.offer(ONE_ARCHIVE).subset("audio")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (12_466, "12.5 kB"), (107_738_000_000, "107.7 GB")]
)
def test_formatted_sizes(size: int, text: str) -> None:
    assert format_bytes(size) == text
