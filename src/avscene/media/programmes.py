"""Choose the programme of a transport stream whose audio and video are read."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from av import logging
from av.container import InputContainer
from av.stream import Stream

from avscene.errors import MediaError
from avscene.media.container import select_stream

MAX_NAMED = 12  # programmes in a message
MAX_NAME = 40  # characters
_DUMP_LINE = re.compile(r"  Program (?P<number>\d+) |  Stream #0:(?P<stream>\d+)|      service_name +: (?P<name>.*)")
_log_lock = threading.Lock()


@dataclass(slots=True)
class Programme:
    """A programme of a transport stream: its number and name, and the indexes of its audio and video streams."""

    number: int
    name: str
    streams: list[int]

    def __str__(self) -> str:
        return f"{self.number} ({self.name})" if self.name else str(self.number)


@dataclass(frozen=True, slots=True)
class ChosenStreams:
    """The streams of which one of each modality is read, a stream of their programme, and a warning of others."""

    streams: Sequence[Stream]
    related: Stream | None = None
    warning: str | None = None


def choose_programme(container: InputContainer, path: Path, number: int | None) -> ChosenStreams:
    """Choose programme `number`, or else that of the video that FFmpeg prefers (of the audio where there is no video).

    Raises:
        MediaError: the file has no such programme.
    """
    every = list(container.streams)
    programmes = read_programmes(container)
    if number is None:
        first = select_stream(container, "video", every)[0] or select_stream(container, "audio", every)[0]
        chosen = next((p for p in programmes if first is not None and first.index in p.streams), None)
    else:
        chosen = next((programme for programme in programmes if programme.number == number), None)
        if chosen is None:
            raise MediaError(f"{path}: {_absence(programmes, number)}")
    if chosen is None:
        return ChosenStreams(every)
    elsewhere = {index for programme in programmes if programme is not chosen for index in programme.streams}
    related = every[next((index for index in chosen.streams if index not in elsewhere), chosen.streams[0])]
    if len(programmes) == 1 and number is None:
        return ChosenStreams(every, related)
    warning = _warning(programmes, chosen) if number is None else None
    return ChosenStreams([every[index] for index in chosen.streams], related, warning)


def read_programmes(container: InputContainer) -> list[Programme]:
    """Return the programmes that have audio or video, in the order of the file.

    PyAV does not expose them, so they are read from FFmpeg's description of the file. There each line of metadata is
    indented further than those of programmes and streams, whatever its text.
    """
    if container.format.name != "mpegts":  # of the formats that are allowed, no other has programmes
        return []
    programmes: list[Programme] = []
    for line in _describe(container).split("\n"):
        if line == "  No Program":  # has the remaining streams
            break
        found = _DUMP_LINE.match(line)
        if found is None:
            continue
        if found["number"]:
            programmes.append(Programme(int(found["number"]), "", []))
        elif programmes and found["name"]:
            programmes[-1].name = "".join(c if c.isprintable() else " " for c in found["name"]).strip()[:MAX_NAME]
        elif programmes and found["stream"]:
            stream = container.streams[int(found["stream"])]
            programmes[-1].streams += [stream.index] if stream.type in ("audio", "video") else []
    return [programme for programme in programmes if programme.streams]


def _describe(container: InputContainer) -> str:
    """Return FFmpeg's description of an open file, which PyAV takes from its log."""
    with _log_lock:
        level, skips = logging.get_level(), logging.get_skip_repeated()
        logging.set_level(logging.INFO)
        logging.set_skip_repeated(False)
        try:
            return str(container.dumps_format())  # type: ignore[attr-defined]  # PyAV's stubs lack it
        finally:
            logging.set_skip_repeated(skips)
            logging.set_level(level)


def _absence(programmes: list[Programme], number: int) -> str:
    if not programmes:
        return f"has no programmes; try: without --program {number}"
    return f"has no programme {number}, only {_names(programmes)}; try: --program {programmes[0].number}"


def _warning(programmes: list[Programme], chosen: Programme) -> str:
    other = next(programme for programme in programmes if programme is not chosen)
    return f"has programmes {_names(programmes)}; read {chosen.number}; another: --program {other.number}"


def _names(programmes: list[Programme]) -> str:
    more = [f"{len(programmes) - MAX_NAMED} more"] if len(programmes) > MAX_NAMED else []
    return ", ".join([*map(str, programmes[:MAX_NAMED]), *more])
