"""A small checkpoint and an ensemble that no test changes, a photograph, and a token for the hub of the tests."""

from pathlib import Path

import pytest

from tests.support.hub_server import TOKEN
from tests.support.scene_data import write_scene
from tests.support.small_checkpoint import save_pair


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pair(tmp_path_factory.mktemp("checkpoints") / "pair")


@pytest.fixture(scope="session")
def small(pair: Path) -> Path:
    return pair.parent / "V1"


@pytest.fixture(scope="session")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("photograph") / "cave.png", "cave", 1)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return TOKEN
