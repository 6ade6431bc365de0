"""Test the routes of previews over HTTP, with real media in the table of jobs."""

import io
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image

from avscene.server.app import build_app
from avscene.server.jobs import JobRequest
from avscene.server.services import Services
from avscene.server.settings import ServerSettings
from tests.support.media_files import write_media


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services.open(ServerSettings(directory=tmp_path / "server", system="conse", offline=True))


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(build_app(services), base_url="http://127.0.0.1:8000") as made:
        services.runner.stop(finish=False)  # the jobs of these tests are not classified
        yield made


def job_of(services: Services, media: Path) -> str:
    job = services.table.add(JobRequest(name=media.name, system="conse"))
    shutil.copy(media, services.files.new_media(job.id, media.name))
    services.table.enqueue(job.id, media.stat().st_size)
    return job.id


def finished(client: TestClient, address: str) -> Response:
    """Ask as the page does, until it is computed."""
    end = time.monotonic() + 30
    while (response := client.get(address)).status_code == 202:
        assert response.json() == {"state": "computing"}
        assert response.headers["retry-after"] == "1"
        assert time.monotonic() < end
        time.sleep(0.05)
    return response


def test_a_preview_is_computed_while_clients_ask(client: TestClient, services: Services, tmp_path: Path) -> None:
    job = job_of(services, write_media(tmp_path / "a.mp4", 3.0))
    assert client.get(f"/v1/jobs/{job}/preview").status_code == 202
    preview = finished(client, f"/v1/jobs/{job}/preview").json()
    assert set(preview) == {"duration", "peaks", "thumbnails", "error"}
    assert preview["duration"] == pytest.approx(3, abs=0.1)
    assert len(preview["peaks"]) == pytest.approx(3000, abs=100)
    image = client.get(f"/v1/jobs/{job}/thumbnails.jpg")
    assert (image.status_code, image.headers["content-type"]) == (200, "image/jpeg")
    tiles = preview["thumbnails"]
    assert Image.open(io.BytesIO(image.content)).size == (tiles["columns"] * tiles["width"], tiles["height"])


def test_audio_has_no_thumbnails(client: TestClient, services: Services, tmp_path: Path) -> None:
    job = job_of(services, write_media(tmp_path / "a.wav", 1.0))
    response = finished(client, f"/v1/jobs/{job}/thumbnails.jpg")
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "not_found"


def test_what_is_no_media_has_an_empty_preview(client: TestClient, services: Services, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no recording\n" * 99)
    job = job_of(services, tmp_path / "a.mp4")
    preview = finished(client, f"/v1/jobs/{job}/preview").json()
    assert (preview["duration"], preview["peaks"], preview["thumbnails"]) == (0, None, None)
    assert str(tmp_path) not in preview["error"]


@pytest.mark.parametrize("part", ["preview", "thumbnails.jpg"])
def test_jobs_without_media_have_none(client: TestClient, services: Services, part: str) -> None:
    waiting = services.table.add(JobRequest(name="a.mp4", system="conse"))
    for job in (waiting.id, "A" * 22, "..%2F..%2Fetc"):
        assert client.get(f"/v1/jobs/{job}/{part}").status_code == 404


def test_removing_a_job_leaves_no_files(client: TestClient, services: Services, tmp_path: Path) -> None:
    job = job_of(services, write_media(tmp_path / "a.mp4", 20.0))
    assert client.get(f"/v1/jobs/{job}/preview").status_code == 202
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.get(f"/v1/jobs/{job}/preview").status_code == 404
    services.previews.close()
    assert not services.files.directory(job).exists()
