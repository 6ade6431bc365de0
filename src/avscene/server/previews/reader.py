"""Compute previews one after the other in a thread, once each."""

import threading
from concurrent import futures
from pathlib import Path

from avscene.media.limits import Limits
from avscene.server.previews.decoding import CancelledError, PreviewDecoding
from avscene.server.previews.preview import Preview, load_preview, save_preview

MAX_WAITING = 64  # previews; what is requested beyond them has to be requested again


class PreviewReader:
    """Returns previews of media files, each kept in a directory, and computes those that are missing.

    One is computed at a time, in a thread; worker processes decode. A file that cannot be decoded has a preview without
    waveform and thumbnails, which is kept as well: it is not tried again. May be used by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread = futures.ThreadPoolExecutor(1, "avscene-previews")
        self._pending: dict[Path, tuple[PreviewDecoding, futures.Future[Preview]]] = {}
        self._closed = False

    def preview(self, path: Path, limits: Limits, directory: Path) -> Preview:
        """Return the preview of a media file; wait for it if need be.

        Args:
            path: the media file.
            limits: what it may need.
            directory: where the preview is kept; it exists, and is of this file only.

        Raises:
            StorageError: the preview cannot be written.
            WeightsError: no process for decoding can be started.
            CancelledError: it was cancelled, or too many others wait.
        """
        found = load_preview(directory)
        if found is not None:
            return found
        future = self._started(path, limits, directory)
        if future is None:
            raise CancelledError(f"{path}: {MAX_WAITING} other previews wait; try again later")
        return self._result(path, directory, future)

    def request(self, path: Path, limits: Limits, directory: Path) -> Preview | None:
        """Return the preview of a media file, or None while it is computed; arguments and errors as of `preview`."""
        found = load_preview(directory)
        if found is not None:
            return found
        future = self._started(path, limits, directory)
        return self._result(path, directory, future) if future is not None and future.done() else None

    def cancel(self, directory: Path) -> None:
        """Stop computing the preview that would be kept in a directory, if one is, before the directory is removed."""
        with self._lock:
            decoding, future = self._pending.pop(directory, (None, None))
        if decoding is not None and future is not None:
            decoding.cancel()
            future.cancel()

    def close(self) -> None:
        """Stop computing, and wait until the thread has ended."""
        with self._lock:
            self._closed = True
            pending = list(self._pending)
        for directory in pending:
            self.cancel(directory)
        self._thread.shutdown(cancel_futures=True)

    def _started(self, path: Path, limits: Limits, directory: Path) -> "futures.Future[Preview] | None":
        """Return the preview that is computed; None if too many wait."""
        with self._lock:
            _, future = self._pending.get(directory, (None, None))
            if future is not None or self._closed or len(self._pending) >= MAX_WAITING:
                return future
            decoding = PreviewDecoding(path, limits)
            future = self._thread.submit(_compute, decoding, directory)
            self._pending[directory] = decoding, future
        future.add_done_callback(lambda future: self._forget_success(directory, future))
        return future

    def _forget_success(self, directory: Path, future: "futures.Future[Preview]") -> None:
        if not future.cancelled() and future.exception() is None:
            self._forget(directory, future)

    def _forget(self, directory: Path, future: "futures.Future[Preview]") -> None:
        with self._lock:
            if self._pending.get(directory, (None, None))[1] is future:
                del self._pending[directory]

    def _result(self, path: Path, directory: Path, future: "futures.Future[Preview]") -> Preview:
        try:
            return future.result()
        except futures.CancelledError:
            raise CancelledError(f"{path}: the preview was cancelled") from None
        finally:
            self._forget(directory, future)  # after an error it is tried again at the next request


def _compute(decoding: PreviewDecoding, directory: Path) -> Preview:
    found = load_preview(directory)
    if found is None:
        found, sprite = decoding.run()
        save_preview(directory, found, sprite)
    return found
