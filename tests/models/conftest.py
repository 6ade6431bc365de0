"""Small CLIPs, and a hub on loopback that offers one of them under the name of a real one."""

from pathlib import Path

import pytest

from tests.support.hub_server import HubServer
from tests.support.small_clip import VIT, save_small_clip


@pytest.fixture(scope="session")
def small_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clip(tmp_path_factory.mktemp("vit"), "vit", seed=1)


@pytest.fixture(scope="session")
def small_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clip(tmp_path_factory.mktemp("resnet"), "resnet", seed=2)


@pytest.fixture
def clip_server(hub_server: HubServer, small_vit: Path) -> HubServer:
    hub_server.add(VIT, small_vit)
    return hub_server
