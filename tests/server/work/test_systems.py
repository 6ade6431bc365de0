"""Test which systems a server offers, and that clients cannot reach files by the name of a system."""

from dataclasses import replace
from pathlib import Path

import pytest

import avscene
from avscene.errors import UsageError, WeightsError
from avscene.models.weights import packaged
from avscene.server.jobs.record import JobRequest
from avscene.server.work.systems import LoadedSystems


def request(system: str = "conse", labels: tuple[str, ...] | None = None, hop: float | None = None) -> JobRequest:
    return JobRequest(name="a.mp4", system=system, labels=labels, hop=hop)


def test_systems_are_those_of_the_library_with_the_default_first() -> None:
    described = LoadedSystems("embedded").describe()
    assert described[0]["name"] == "conse"  # of which `embedded` is an alias
    assert {entry["name"] for entry in described} == {system.name for system in avscene.list_systems()}
    for entry in described:
        assert (entry["weights"] == "untrained") is not entry["zero_shot"]


@pytest.mark.parametrize("name", ["/etc", "..", "hf://user/repo", "https://example.org/x", "nothing", "E02", ""])
def test_a_client_cannot_name_paths_references_or_untrained_systems(name: str) -> None:
    systems = LoadedSystems("conse")
    with pytest.raises(UsageError):
        systems.check(request(name))
    with pytest.raises(UsageError):
        systems.get(name)


def test_labels_are_names_and_never_files(tmp_path: Path) -> None:
    systems = LoadedSystems("conse")
    names = tmp_path / "names.txt"
    names.write_text("a secret\nanother")
    system = systems.get("conse", (str(names), "street"))
    assert list(system.labels) == [str(names), "street"]
    for labels in [("one",), ("a", "a"), ("a", ""), tuple(f"scene {n}" for n in range(1001))]:
        with pytest.raises(UsageError):
            systems.check(request(labels=labels))
    with pytest.raises(UsageError):
        systems.check(request(hop=0.0))


def test_a_system_is_loaded_once_for_the_same_labels() -> None:
    systems = LoadedSystems("conse")
    assert not systems.is_loaded
    first = systems.get("conse")
    assert systems.is_loaded
    assert systems.get("conse") is first
    other = systems.get("conse", ("street", "forest"))
    assert list(other.labels) == ["street", "forest"]
    assert systems.get("conse", ("street", "forest")) is other


def test_weights_that_are_missing_are_named_before_a_job_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    systems = LoadedSystems("conse")
    systems.check(request())
    absent = replace(packaged.EFFICIENTNET_LITE0, module="not_installed")
    monkeypatch.setattr(packaged, "EFFICIENTNET_LITE0", absent)
    with pytest.raises(WeightsError):
        systems.check(request())
