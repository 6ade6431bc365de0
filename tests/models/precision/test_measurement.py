"""Test the measurement of this machine: its cache, and what it says about instruction sets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avscene.models.precision import measurement
from avscene.models.precision.measurement import Measurement, Rates, measure, measurement_path, this_machine

MEASURED = Measurement(
    processor=measurement.processor(),
    torch=torch.__version__,
    convolution=Rates(float32=100, bfloat16=300),
    depthwise=Rates(float32=20, bfloat16=21),
    product=Rates(float32=90, bfloat16=400),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    measurement.this_machine.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """The measurements that were made."""
    made: list[Measurement] = []

    def record() -> Measurement:
        made.append(MEASURED)
        return MEASURED

    monkeypatch.setattr(measurement, "measure", record)
    return made


def new_process() -> None:
    measurement.this_machine.cache_clear()


def test_a_machine_is_measured_once(measured: list[Measurement]) -> None:
    assert this_machine() == MEASURED
    new_process()
    assert this_machine() == MEASURED
    assert len(measured) == 1
    assert json.loads(measurement_path().read_text())["product"] == {"float32": 90.0, "bfloat16": 400.0}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe\x00",
        MEASURED.model_copy(update={"processor": "another"}).model_dump_json().encode(),
        MEASURED.model_copy(update={"torch": "1.0"}).model_dump_json().encode(),
        MEASURED.model_dump_json().replace("300.0", "-1.0").encode(),
        MEASURED.model_dump_json().replace("300.0", "NaN").encode(),
    ],
)
def test_a_damaged_or_foreign_cache_is_measured_again(content: bytes, measured: list[Measurement]) -> None:
    this_machine()
    measurement_path().write_bytes(content)
    new_process()
    assert this_machine() == MEASURED
    assert len(measured) == 2
    assert Measurement.model_validate_json(measurement_path().read_bytes()) == MEASURED


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path, measured: list[Measurement]) -> None:
    cache.write_text("a file in place of the folder")
    assert this_machine() == MEASURED
    new_process()
    assert this_machine() == MEASURED
    assert len(measured) == 2


def test_a_measurement_is_plain_data() -> None:
    threads = torch.get_num_threads()
    found = measure()
    assert torch.get_num_threads() == threads
    assert Measurement.model_validate(json.loads(json.dumps(found.model_dump()))) == found


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx512_f"), reason="needs AVX-512")
def test_the_ratio_follows_the_instructions_of_the_processor() -> None:
    """Without instructions for bfloat16, oneDNN converts to float32 and back: products take longer."""
    program = "from avscene.models.precision.measurement import measure; print(measure().model_dump_json())"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    output = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
    limited, here = Measurement.model_validate_json(output), measure()
    assert limited.product.ratio < 1
    assert limited.convolution.ratio < 1
    assert limited.processor != here.processor  # no cache is shared with a process without the limit
    if torch.cpu.get_capabilities().get("amx_bf16"):
        assert here.product.ratio > 1.5
        assert here.convolution.ratio > 1.5
