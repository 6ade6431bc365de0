"""The front end of the audio head of system `fast`."""

from avscene.features.logmel import LogMelSpec
from avscene.models.registry import AudioHead, HeadsSystem, find

_ROW = find("fast")
assert isinstance(_ROW, HeadsSystem)
_HEAD = _ROW.heads["audio"]
assert isinstance(_HEAD, AudioHead)
LOG_MEL = LogMelSpec(**_HEAD.log_mel)
MEL_IMAGE = _HEAD.image_size
