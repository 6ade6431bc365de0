"""Test the list of named systems."""

import avscene
from avscene.models import registry


def test_the_list_is_that_of_the_registry() -> None:
    found = avscene.list_systems()
    assert [system.name for system in found] == list(registry.systems())
    by_name = {system.name: system for system in found}
    assert (by_name["conse"].needs, by_name["conse"].trained, by_name["conse"].present) == ("video", False, True)
    assert (by_name["A01"].log_loss, by_name["A01"].accuracy, by_name["A01"].trained) == (0.711, 76.6, True)
    assert by_name["fast"].to_dict() | {"weights": ""} == {
        "name": "fast", "title": by_name["fast"].title, "needs": "both", "trained": True, "present": True,
        "weights": "", "log_loss": None, "accuracy": None,
    }  # fmt: skip
    assert repr(by_name["C03"]) == "NamedSystem('C03': CLIP ViT-B/32, zero-shot)"
