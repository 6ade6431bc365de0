"""Define the routes of the waveform and the thumbnails of the media of a job."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from avscene.media.limits import Limits
from avscene.server.api.requests import Shared, no_job
from avscene.server.jobs import JobState
from avscene.server.responses.documentation import documented
from avscene.server.responses.preview import PREVIEW, THUMBNAILS, preview_response, thumbnails_response
from avscene.server.services import Services

router = APIRouter(tags=["results"])


@router.get("/v1/jobs/{id}/preview", response_class=Response, responses={**PREVIEW, **documented(400, 404)})
def preview(id: str, services: Shared) -> Response:  # noqa: A002  # in the address
    """Return the waveform of the media of a job, and where its thumbnails are in their image."""
    return preview_response(services.previews, *_media(services, id))


@router.get("/v1/jobs/{id}/thumbnails.jpg", response_class=Response, responses={**THUMBNAILS, **documented(400, 404)})
def thumbnails(id: str, services: Shared) -> Response:  # noqa: A002
    """Return the thumbnails of the media of a job, all in one image."""
    return thumbnails_response(services.previews, *_media(services, id))


def _media(services: Services, job_id: str) -> tuple[Path, Limits, Path]:
    """Return the media of a job, what it may need, and the directory of the job.

    Raises:
        ApiError: there is no such job, or it has no media yet.
    """
    job = services.table.get(job_id)
    path = None if job is None or job.state is JobState.WAITING else services.files.media(job_id)
    if path is None:
        raise no_job()
    return path, services.settings.limits, services.files.directory(job_id)
