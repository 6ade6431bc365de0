"""Make segments of decoded frames and audio that are given as arrays, as they are made of files."""

from avscene.media.arrays.recording import ArrayRecording
from avscene.media.arrays.stream import Chunk, StreamAssembler

__all__ = ["ArrayRecording", "Chunk", "StreamAssembler"]
