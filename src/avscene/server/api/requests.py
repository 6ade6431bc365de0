"""Turn what a client asks for into the request of a job, after checking that it can be fulfilled."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from avscene.errors import first_validation_error
from avscene.labels import LabelSet
from avscene.server.errors import ApiError
from avscene.server.jobs import Job, JobRequest, QueueFullError
from avscene.server.responses.schemas import NewJob
from avscene.server.services import Services


async def _services(request: Request) -> Services:  # else FastAPI calls it in a thread
    services: Services = request.app.state.services
    return services


Shared = Annotated[Services, Depends(_services)]  # a parameter of a route: what all routes share


def check_accepting(services: Services) -> None:
    """Check that the server takes new jobs.

    Raises:
        ApiError: it is stopping.
    """
    if services.stopping.is_set():
        raise ApiError(503, "the server is stopping; try again later", headers={"Retry-After": "5"})


def add_job(services: Services, wanted: NewJob, *, listed: bool) -> Job:
    """Add a job that waits for its media.

    Raises:
        ApiError: the server is stopping, or its queue is full.
        AvsceneError: the system, the labels or the hop cannot be used.
    """
    check_accepting(services)
    request = JobRequest(
        name=wanted.name,
        system=wanted.system or services.systems.default,
        labels=None if wanted.labels is None else LabelSet.named(wanted.labels).names,
        hop=wanted.hop,
        keyframes=wanted.frames == "keyframes",
        listed=listed,
    )
    services.systems.check(request)
    try:
        return services.table.add(request)
    except QueueFullError as error:
        seconds = services.retry_after()
        raise ApiError(429, str(error), headers={"Retry-After": str(seconds)}) from None


def new_job_of(fields: Mapping[str, str], file_name: str) -> NewJob:
    """Return the request that the parameters or the fields of a form state.

    Args:
        fields: `name`, `system`, `labels` (separated by commas), `hop` and `frames`; empty ones are as missing.
        file_name: Name of the recording if no field states it.

    Raises:
        ApiError: a field is unknown or wrong.
    """
    values: dict[str, object] = {name: value for name, value in fields.items() if value}
    values.setdefault("name", file_name or "upload")
    if "labels" in values:
        labels = [label.strip() for label in fields["labels"].split(",")]
        values["labels"] = labels[:-1] if len(labels) > 1 and not labels[-1] else labels  # as `--labels` forgives
    try:
        return NewJob.model_validate(values)
    except ValidationError as error:
        raise ApiError(400, first_validation_error(error)) from None


async def find_job(services: Services, id: str) -> Job:  # noqa: A002
    """Return a job.

    Raises:
        ApiError: there is none.
    """
    job = await run_in_threadpool(services.table.get, id)
    if job is None:
        raise no_job()
    return job


def no_job() -> ApiError:
    """Make the error for an id that no job has."""
    return ApiError(404, "there is no such job")
