"""Test the OpenAPI document: it is valid, has examples, and generated requests get no undocumented answer."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import BaseSchema, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.support.live_server import Live

load_all_checks()
# A document cannot state which contents are media files, and which scenes are distinct.
EXCLUDED = [CHECKS.get_one("positive_data_acceptance")]
QUICK, THOROUGH = 3, 60  # examples for each operation


@pytest.fixture(scope="module")
def document(shared_server: Live) -> Any:
    """The OpenAPI document of the shared server."""
    return shared_server.client.get("/openapi.json").json()


@pytest.fixture(scope="module")
def done_job(shared_server: Live, clip: Path) -> str:
    """The id of a job that is done."""
    job = shared_server.client.post("/v1/jobs", json={"name": "clip.mp4"}).json()
    shared_server.client.put(f"/v1/jobs/{job['id']}/media", content=clip.read_bytes())
    shared_server.services.runner.completion(job["id"]).result(60)
    return str(job["id"])


@pytest.fixture(scope="module")
def schema(shared_server: Live) -> BaseSchema:
    """The same document for schemathesis."""
    return schemathesis.openapi.from_url(f"{shared_server.url}/openapi.json")


@pytest.mark.parametrize("mode", GenerationMode)
def test_generated_requests_get_documented_answers(
    schema: BaseSchema, mode: GenerationMode, done_job: str, shared_server: Live
) -> None:
    check(schema, mode, QUICK, done_job, shared_server)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", GenerationMode)
def test_many_generated_requests_get_documented_answers(
    schema: BaseSchema, mode: GenerationMode, done_job: str, shared_server: Live
) -> None:
    check(schema, mode, THOROUGH, done_job, shared_server)


def check(schema: BaseSchema, mode: GenerationMode, n_examples: int, done_job: str, live: Live) -> None:
    """Send requests to each operation, half of those about a job to one that exists; compare answers and document.

    With `GenerationMode.NEGATIVE` the requests are wrong.
    """
    n_requests = 0
    conditions = settings(
        max_examples=n_examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    for found in schema.get_all_operations():
        operation = found.ok()
        strategy = operation.as_strategy(generation_mode=mode)

        @conditions
        @given(case=strategy)
        def send(case: schemathesis.Case) -> None:
            nonlocal n_requests
            n_requests += 1
            if "id" in case.path_parameters and case.method != "DELETE" and n_requests % 2:
                case.path_parameters["id"] = done_job
            case.call_and_validate(excluded_checks=EXCLUDED, timeout=60)

        with suppress(Unsatisfiable):  # a request without parameters cannot be wrong
            send()
    assert n_requests > n_examples
    assert live.client.get("/readyz").status_code == 200


def operations(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        yield from ((f"{method.upper()} {path}", operation) for method, operation in found.items())


def test_every_failure_that_is_documented_has_an_example(document: Any) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                (content,) = response["content"].values()
                assert "example" in content or "schema" in content, (name, status)
            assert response["description"]
        assert {"401", "403", "503"} <= set(operation["responses"]), name
        assert operation["summary"], name


def test_bodies_have_examples(document: Any) -> None:
    for name in ("PredictionBody", "JobBody", "JobList", "NewJob", "FailureBody"):
        assert document["components"]["schemas"][name]["examples"], name


def test_no_framework_status_is_documented(document: Any) -> None:
    assert "HTTPValidationError" not in str(document)
    with_422 = [name for name, operation in operations(document) if "422" in operation["responses"]]
    assert with_422 == ["POST /v1/classify"]
