"""Define the routes that state what the server offers: systems and limits."""

from fastapi import APIRouter

from avscene.datasets.dataset import MEDIA_SUFFIXES
from avscene.server.api.requests import Shared
from avscene.server.responses.documentation import documented
from avscene.server.responses.schemas import LimitsBody, SystemBody, SystemList

router = APIRouter(tags=["systems"])


@router.get("/v1/systems", responses=documented())
def list_systems(services: Shared) -> SystemList:
    """List the systems, what they need, and whether their weights are here."""
    return SystemList(
        default=services.systems.default, systems=[SystemBody(**row) for row in services.systems.describe()]
    )


@router.get("/v1/limits", responses=documented())
def limits(services: Shared) -> LimitsBody:
    """Return what the server accepts."""
    settings = services.settings
    return LimitsBody(
        max_upload=settings.max_upload,
        max_duration=settings.max_duration,
        keep=settings.keep,
        suffixes=sorted(MEDIA_SUFFIXES),
        archive=settings.results is not None,
        token=settings.token is not None,
    )
