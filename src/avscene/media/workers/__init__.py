"""Decode recordings in worker processes: a path in, segments out, and an error if the process crashes or hangs."""

from avscene.media.workers.middle_frame import MiddleFrameReader
from avscene.media.workers.process import decoder_threads, default_workers, start_workers
from avscene.media.workers.recording import IsolatedRecording

__all__ = ["IsolatedRecording", "MiddleFrameReader", "decoder_threads", "default_workers", "start_workers"]
