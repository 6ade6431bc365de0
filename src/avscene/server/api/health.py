"""Define the routes for those who operate the server: whether it is up, whether it is ready, and metrics."""

from typing import Any

from fastapi import APIRouter, Response

from avscene.server.api.requests import Shared
from avscene.server.errors import ApiError
from avscene.server.metrics import CONTENT_TYPE
from avscene.server.responses.documentation import documented
from avscene.server.responses.schemas import HealthBody

router = APIRouter(tags=["health"])

_METRICS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Metrics in the text format of Prometheus",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/healthz", responses=documented())
def healthz() -> HealthBody:
    """Return whether the server answers; needs no token."""
    return HealthBody(status="ok")


@router.get("/readyz", responses=documented())
def readyz(services: Shared) -> HealthBody:
    """Return whether the server takes and runs jobs."""
    if services.stopping.is_set():
        raise ApiError(503, "the server is stopping")
    services.table.counts()  # raises if the table cannot be read
    if not services.runner.is_alive:
        raise ApiError(503, "jobs are not run any more; restart the server")
    return HealthBody(status="ok")


@router.get("/metrics", response_class=Response, responses={**_METRICS, **documented()})
def metrics(services: Shared) -> Response:
    """Return metrics for Prometheus."""
    return Response(services.metrics.text(), media_type=CONTENT_TYPE)
