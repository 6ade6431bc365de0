"""Assemble the server: its services, its routes, and what wraps them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool

import avscene
from avscene.errors import AvsceneError
from avscene.server.api import archive, classify, health, jobs, page, previews, results, session, systems
from avscene.server.errors import add_handlers
from avscene.server.metrics import RequestMetrics
from avscene.server.middleware import BodyTimer, ErrorBoundary, Gate, SecurityHeaders
from avscene.server.security import Guard
from avscene.server.services import Services
from avscene.server.settings import ServerSettings

logger = logging.getLogger(__name__)

STOP_SECONDS, AT_ONCE_SECONDS = 20.0, 1.0  # that computing has to end
_DESCRIPTION = """Classify the scenes of recordings. Send a media file to `/v1/classify` and wait for the result, or add
a job, send its media, and follow it. Every failure is JSON: `{"error": {"type", "message"}}`."""


def create_app(settings: ServerSettings) -> FastAPI:
    """Return the application, an ASGI application that runs jobs from its startup to its shutdown.

    Raises:
        UsageError: another server uses the directory of jobs, or the system cannot be used.
        DataError: the table of jobs is damaged.
    """
    return build_app(Services.open(settings))


def build_app(services: Services) -> FastAPI:
    """Return the application over these services, which it closes when it ends."""
    app = FastAPI(
        title="avscene",
        version=avscene.__version__,
        description=_DESCRIPTION,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        separate_input_output_schemas=False,
    )
    app.state.services = services
    app.state.guard = guard = Guard(services.settings)
    services.metrics.watch_jobs(lambda: {str(state): count for state, count in services.table.counts().items()})
    modules = (classify, jobs, results, previews, archive, systems, session, health, page)
    for module in modules:
        app.include_router(module.router)
    app.state.routes = [route for module in modules for route in module.router.routes]
    add_handlers(app)
    # The last one is the outermost.
    app.add_middleware(ErrorBoundary)
    app.add_middleware(Gate, guard=guard, sign_in_page=page.sign_in_page)
    app.add_middleware(BodyTimer)
    app.add_middleware(RequestMetrics, metrics=services.metrics)
    app.add_middleware(SecurityHeaders)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's way to change the document
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    try:
        await _start(services)
        yield
        services.stopping.set()
        seconds = AT_ONCE_SECONDS if services.at_once.is_set() else STOP_SECONDS
        await run_in_threadpool(services.runner.stop, finish=False, timeout=seconds)
    finally:
        await run_in_threadpool(services.close)


async def _start(services: Services) -> None:
    try:
        await run_in_threadpool(services.runner.start)
    except AvsceneError as error:
        logger.error(str(error))  # uvicorn ends without it
        raise


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, without the status 422 that the framework adds: here it is 400."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        guard: Guard = app.state.guard
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _drop_validation(operation["responses"])
                if guard.needs_token(method.upper(), path):
                    operation["security"] = [{"token": []}]
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = document
    return app.openapi_schema


def _drop_validation(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {}).get("application/json", {})
    if content.get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]
