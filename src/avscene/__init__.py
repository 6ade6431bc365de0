"""Classify the scene of a recording from its audio and video: per segment and overall.

>>> import avscene
>>> avscene.load("conse", labels=["kitchen", "street", "forest"]).classify("video.mp4").scene
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a public name has a row here, one in _PUBLIC, and an example in docs/python.md
    from avscene.datasets.predict import predict as predict
    from avscene.errors import AvsceneError as AvsceneError
    from avscene.evaluation.tables import evaluate as evaluate
    from avscene.fusion.fuse import fuse as fuse
    from avscene.inference import System as System
    from avscene.inference import load as load
    from avscene.labels import TAU_SCENES as TAU_SCENES
    from avscene.labels import LabelSet as LabelSet
    from avscene.mismatch.tables import detect_mismatch as detect_mismatch
    from avscene.models.catalogue import list_systems as list_systems
    from avscene.records import Prediction as Prediction
    from avscene.training.train import train as train

__version__ = "0.1.0"

# Messages of the library go to this logger; a program that wants to see them attaches a handler or configures logging.
logging.getLogger("avscene").addHandler(logging.NullHandler())

# Public name -> the module that defines it, which is imported when the name is first used.
_PUBLIC = {
    "AvsceneError": "avscene.errors",
    "LabelSet": "avscene.labels",
    "Prediction": "avscene.records",
    "System": "avscene.inference",
    "TAU_SCENES": "avscene.labels",
    "detect_mismatch": "avscene.mismatch.tables",
    "evaluate": "avscene.evaluation.tables",
    "fuse": "avscene.fusion.fuse",
    "list_systems": "avscene.models.catalogue",
    "load": "avscene.inference",
    "predict": "avscene.datasets.predict",
    "train": "avscene.training.train",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'avscene' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
