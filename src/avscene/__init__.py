"""Classify the scene of a recording from its audio and video: per segment and overall.

>>> import avscene
>>> avscene.load("conse", labels=["kitchen", "street", "forest"]).classify("video.mp4").scene
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avscene.errors import AvsceneError as AvsceneError
    from avscene.inference import System as System
    from avscene.inference import load as load
    from avscene.labels import TAU_SCENES as TAU_SCENES
    from avscene.labels import LabelSet as LabelSet
    from avscene.records import Prediction as Prediction

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
    "load": "avscene.inference",
}
__all__ = ["TAU_SCENES", "AvsceneError", "LabelSet", "Prediction", "System", "load"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'avscene' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
