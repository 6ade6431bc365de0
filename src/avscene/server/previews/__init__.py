"""Compute what the page shows of a media file beside its scenes: the waveform and thumbnails."""

from avscene.server.previews.decoding import CancelledError
from avscene.server.previews.preview import SPRITE, Preview, Thumbnails
from avscene.server.previews.reader import PreviewReader

__all__ = ["SPRITE", "CancelledError", "Preview", "PreviewReader", "Thumbnails"]
