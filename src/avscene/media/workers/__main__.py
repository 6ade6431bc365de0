"""Run a worker process: take requests on standard input, decode recordings, write messages to a pipe.

It loads PyAV, numpy and soxr only, so that it starts quickly and is small.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any

from avscene.errors import AvsceneError
from avscene.media.limits import Limits, is_memory_exhausted, memory_error
from avscene.media.sampling import Sampling
from avscene.media.workers.messages import Message, SegmentPacker, write_message

HEARTBEAT = 1.0  # seconds between messages that say that decoding goes on
OUT_OF_MEMORY_SCORE = 500  # of 1000: when memory runs out, Linux kills this process before its parent


class Worker:
    """Decodes the recordings that are requested, one after the other."""

    def __init__(self, descriptor: int, requests: "queue.SimpleQueue[Message]") -> None:
        self._descriptor = descriptor
        self._requests = requests
        self._last_message = 0.0
        self._stall = 0.0

    def run(self) -> None:
        """Serve requests until the process ends, at the latest when its memory is nearly used up."""
        while not is_memory_exhausted():
            request = self._requests.get()
            if request["type"] == "open":
                self._serve(request)

    def _serve(self, request: Message) -> None:
        limits = Limits(**request["limits"])
        path = Path(request["path"])
        self._stall = limits.stall
        _limit_memory(limits.memory_bytes)
        with contextlib.suppress(OSError):  # it may have been removed; absolute paths need none
            os.chdir(request["directory"])
        try:
            self._watch()
            self._decode(request, limits)
        except AvsceneError as error:
            self._send({"type": "error", "message": str(error)})
        except MemoryError:
            self._send({"type": "error", "message": str(memory_error(path, limits))})
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  # costs this recording alone
            reason = f"{type(error).__name__}: {error}"
            self._send({"type": "error", "message": f"{path}: cannot be decoded ({reason})"})

    def _decode(self, request: Message, limits: Limits) -> None:
        from avscene.media.segments import Recording  # loads PyAV

        path, audio, decoder, program = (request[name] for name in ("path", "audio", "decoder", "program"))
        with Recording(path, audio, decoder, limits, self._heartbeat, program) as recording:
            self._send(
                {
                    "type": "opened",
                    "audio": recording.has_audio,
                    "video": recording.has_video,
                    "stated_duration": recording.stated_duration,
                }
            )
            signal.alarm(0)
            following = self._requests.get()
            if following["type"] == "close":
                return
            self._watch()
            packer = SegmentPacker()
            for segment in recording.segments(Sampling(**following["sampling"])):
                header, arrays = packer.pack(segment)
                self._send(header, arrays)
            self._send(
                {
                    "type": "end",
                    "duration": recording.duration,
                    "audio": recording.has_audio,
                    "video": recording.has_video,
                    "warnings": recording.warnings,
                    "audio_source": recording.audio_source and asdict(recording.audio_source),
                }
            )

    def _heartbeat(self) -> None:
        if time.monotonic() - self._last_message > HEARTBEAT:
            self._send({"type": "progress"})

    def _send(self, header: Message, arrays: list[Any] | None = None) -> None:
        signal.alarm(0)  # writing waits until the parent reads
        write_message(self._descriptor, header, arrays or [])
        self._last_message = time.monotonic()
        if header["type"] not in ("end", "error"):
            self._watch()

    def _watch(self) -> None:
        """End this process if it does nothing for long. Usually its parent does so first, but it may have been killed.

        The signal's default action needs no Python, so it works while native code hangs.
        """
        signal.alarm(ceil(2 * self._stall))


def _limit_memory(n_bytes: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no file
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, hard))


def _read_requests(requests: "queue.SimpleQueue[Message]") -> None:
    """Queue the requests; end the process with its parent, even if native code hangs in the other thread."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)


def main() -> None:
    """Serve the parent process that started this one; the argument is the descriptor of the pipe."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OUT_OF_MEMORY_SCORE))
    requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    with contextlib.suppress(ImportError):  # the first request reports it
        import avscene.media.segments  # noqa: F401  # loads PyAV while the parent loads torch
    with contextlib.suppress(BrokenPipeError):  # the parent has ended
        Worker(int(sys.argv[1]), requests).run()


if __name__ == "__main__":
    main()
