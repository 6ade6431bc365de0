"""Test that a store made on a cluster is the store that one machine makes."""

from pathlib import Path

import lance
import pytest

from avscene.cluster import connect
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.writer import prepare
from avscene.training.prepare import embed_with
from tests.support.clusters import ray_cluster
from tests.support.media_files import write_media

pytest.importorskip("ray")

SPEC = StoreSpec(frame_size=64)


def test_a_cluster_makes_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        folder = Path("data", "kitchen" if number % 2 else "street")
        folder.mkdir(parents=True, exist_ok=True)
        write_media(folder / f"{number}.mp4", 1.0 + 0.3 * number)
    Path("data/kitchen/damaged.mp4").write_bytes(Path("data/kitchen/3.mp4").read_bytes()[:-3000])
    Path("data/street/empty.mp4").touch()
    data = read_dataset(Path("data"))
    alone = prepare(data, "alone", SPEC)
    with ray_cluster(1, 1) as running, connect(running.address):
        shared = prepare(data, "shared", SPEC, on_cluster=True)
        again = prepare(data, "shared", SPEC, on_cluster=True)
        embed("shared", on_cluster=True)
    embed("alone")
    assert shared.failures == alone.failures
    assert shared.notes == alone.notes
    assert (shared.decoded, again.decoded) == (10, 0)
    tables = [_rows(Path(name)) for name in ("alone", "shared")]
    assert tables[0].equals(tables[1])


def embed(store: str, *, on_cluster: bool = False) -> None:
    for name in ("efficientnet-lite0", "efficientnet-lite1"):
        embed_with(
            Path(store), name, device="cpu", offline=True, progress=lambda _: lambda *_: None, on_cluster=on_cluster
        )


def _rows(store: Path) -> "object":
    (table,) = [path.parent for path in store.glob("*/_versions")]
    return lance.dataset(table).to_table()
