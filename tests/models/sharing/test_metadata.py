"""Test the metadata of model cards with huggingface_hub's own parser, which reads them as the hub does."""

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from avscene.errors import UsageError
from avscene.models.checkpoint import CARD, Config, read_config
from avscene.models.efficientnet_lite import FRAMES
from avscene.models.linear_heads import VideoHeadPart
from avscene.models.sharing.metadata import check_metadata, front_matter, with_metadata
from tests.support.small_checkpoint import small_config


def test_the_card_of_a_checkpoint_has_metadata_that_the_hub_reads(small: Path) -> None:
    card = ModelCard((small / CARD).read_text(), ignore_metadata_errors=False)
    data = card.data
    assert (data.license, data.library_name, data.pipeline_tag) == ("other", "avscene", "video-classification")
    assert data.datasets == ["my-recordings-2026"]
    assert data.metrics == ["accuracy", "log_loss"]
    assert "audio-visual-scene-classification" in data.tags
    results = {result.metric_type: result for result in data.eval_results}
    assert {name: result.metric_value for name, result in results.items()} == {"accuracy": 0.75, "log_loss": 0.25}
    assert results["accuracy"].dataset_name == "my recordings (2026)"
    assert results["accuracy"].dataset_split == "validation"
    assert data.model_name == "V1"
    assert card.text.lstrip().startswith("# V1: audio-visual scene classification")


def test_the_hub_writes_back_what_it_read(small: Path) -> None:
    data = ModelCard((small / CARD).read_text()).data
    again = ModelCard(f"---\n{data.to_yaml()}\n---\n").data
    assert again.to_dict() == data.to_dict()


def test_a_card_of_an_earlier_version_gets_metadata(small: Path) -> None:
    config = read_config(small)
    card = with_metadata("# V1\n\nText with --- in it.\n\n---\n\nEnd.\n", config, None)
    assert ModelCard(card).data.to_dict() == ModelCard((small / CARD).read_text()).data.to_dict()
    assert card.endswith("# V1\n\nText with --- in it.\n\n---\n\nEnd.\n")


def test_metadata_of_the_owner_are_kept_and_the_licence_can_be_set(small: Path) -> None:
    config = read_config(small)
    own = "---\nlicense: other\nlicense_name: my-terms\nlanguage: [en]\ntags: [caves]\n---\n# Caves\n"
    assert with_metadata(own, config, None) == own
    changed = ModelCard(with_metadata(own, config, "cc-by-nc-4.0"))
    assert changed.data.to_dict() == {"license": "cc-by-nc-4.0", "language": ["en"], "tags": ["caves"]}
    assert changed.text == "# Caves\n"
    fresh = ModelCard(with_metadata("# Caves\n", config, "mit")).data
    assert fresh.license == "mit"
    assert fresh.license_name is None


@pytest.mark.parametrize("name", ["", "MIT license", "a\nb", "-x", "x" * 100])
def test_a_licence_that_is_no_identifier_is_refused(small: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no identifier of the hub"):
        with_metadata("# Caves\n", read_config(small), name)


@pytest.mark.parametrize("data", ["Caves: and\n- more", "😀", "a/b/../c", "---", "null", "12", "x: [y"])
def test_names_of_data_never_break_the_metadata(data: str) -> None:
    card = front_matter(_config_of(data))
    check_metadata(card)
    found = ModelCard(card).data
    assert found.eval_results[0].dataset_name == data
    assert found.datasets == [found.datasets[0]]
    assert set(found.datasets[0]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def _config_of(data: str) -> Config:
    parts = (VideoHeadPart(name="V1", frames=FRAMES),)
    return small_config("V1", models=parts, training={"data": data, "held_out": None})


def test_figures_that_are_not_numbers_are_left_out() -> None:
    parts = _config_of("x").models
    metrics = {"validation": {"log_loss": float("nan"), "accuracy": 0.5, "n": 2}}
    text = front_matter(small_config("V1", models=parts, metrics=metrics))
    values = yaml.safe_load(text.split("---")[1])
    assert [metric["type"] for metric in values["model-index"][0]["results"][0]["metrics"]] == ["accuracy"]
