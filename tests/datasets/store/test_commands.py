"""The commands prepare and embed report what they did and refuse invalid input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avscene.datasets.store.columns import add_embeddings
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from tests.support.command_line import Run, run


@pytest.fixture
def avscene(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    return lambda *arguments: run(capfd, *arguments)


SMALL = ("--sample-rate", 8000, "--frame-size", 48)


def test_prepare_command(avscene: Callable[..., Run], media: Path, tmp_path: Path) -> None:
    first = avscene("prepare", media, "--output", tmp_path / "store", *SMALL, "--frames-per-second", 4, "--hop", 0.5)
    assert first.code == 0
    assert f"{media}/park/without_audio.mp4: has no audio" in first.messages
    assert first.out == (
        f"{tmp_path}/store: 31 segments of 6 recordings, 6 of them decoded now; "
        f"next: avscene embed {tmp_path}/store --encoder NAME\n"
    )
    assert SegmentStore.open(tmp_path / "store").spec == StoreSpec(
        hop=0.5, sample_rate=8000, frame_size=48, frames_per_segment=3
    )
    other = avscene("prepare", media, "--output", tmp_path / "store", *SMALL)
    assert "was prepared with hop 0.5 (not 1.0); use its settings, or another --output for yours" in other.error()


def test_prepare_command_exits_with_3_if_recordings_fail(
    avscene: Callable[..., Run], data: Path, tmp_path: Path
) -> None:
    (data / "tram/both.mp4").write_bytes(b"not a video")
    made = avscene("prepare", data, "--output", tmp_path / "store", *SMALL)
    assert made.code == 3
    assert any(line.startswith(f"left out: {data}/tram/both.mp4: ") for line in made.messages)
    assert "of 5 recordings, 5 of them decoded now" in made.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--hop", "0"), "hop 0 is not a number of seconds of 0.02 or more"),
        (("--hop", "nan"), "hop nan is not a number of seconds"),
        (("--frames-per-second", "0"), "--frames-per-second 0 is not a number from 0 to 1000"),
        (("--sample-rate", "0"), "sample-rate 0: Input should be greater than 0"),
        (("--frame-size", "-1"), "frame-size -1: Input should be greater than 0"),
    ],
)
def test_prepare_command_refuses_invalid_settings(
    avscene: Callable[..., Run], media: Path, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    assert message in avscene("prepare", media, "--output", tmp_path / "store", *options).error()
    assert not (tmp_path / "store").exists()


def test_embed_command(avscene: Callable[..., Run], store: SegmentStore) -> None:
    arguments = ("embed", store.directory, "--encoder", "efficientnet-lite0")
    first = avscene(*arguments)
    assert (first.code, first.out) == (
        0,
        f"{store.directory}: 16 embeddings of efficientnet-lite0, 1984 numbers each: written\n",
    )
    assert "efficientnet-lite0 takes frames of 224 pixels" in first.messages[0]
    assert avscene(*arguments).out.endswith("already exist\n")


def test_embed_command_refuses_unknown_encoders_and_other_directories(
    avscene: Callable[..., Run], store: SegmentStore, media: Path
) -> None:
    assert "no encoder 'clip'; known: clip-rn101" in avscene("embed", store.directory, "--encoder", "clip").error()
    assert "is not a segment store" in avscene("embed", media, "--encoder", "efficientnet-lite0").error()


def test_embed_command_reports_changed_weights(avscene: Callable[..., Run], store: SegmentStore) -> None:
    add_embeddings(store, "efficientnet-lite0", "older weights", 2, [np.zeros((16, 2))])
    embedded = avscene("embed", store.directory, "--encoder", "efficientnet-lite0")
    assert embedded.code == 0
    assert any("were made by other weights or settings; computing them again" in line for line in embedded.messages)
