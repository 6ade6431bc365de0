"""Report what huggingface_hub transfers to avscene's progress, and keep it from writing on standard error."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from avscene.progress import Progress

MEGABYTE = 10**6


def bar_class(progress: Progress) -> type:
    """Return a class that huggingface_hub uses in place of tqdm's; `progress` is called with megabytes."""

    class TransferBar:
        """Counts the bytes of one file; a transfer that brings more than was announced ends."""

        def __init__(self, *, total: int | None = None, initial: int = 0, **_options: object) -> None:
            self.n, self.total = initial, total

        def __enter__(self) -> "TransferBar":
            return self

        def __exit__(self, *_error: object) -> None:
            pass

        def update(self, n: int = 1) -> None:
            self.n += n
            if self.total is not None:
                if self.n > self.total:
                    raise OSError(f"more than the {self.total} bytes that were announced")
                progress(round(self.n / MEGABYTE), max(1, round(self.total / MEGABYTE)))

        def ignore(self, *_arguments: object, **_options: object) -> None:
            pass

        close = refresh = set_postfix_str = update_transfer = set_transfer_postfix_str = ignore

    return TransferBar


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Suppress the messages and bars of huggingface_hub; its errors are raised, and avscene explains them."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    by_variable = constants.HF_HUB_DISABLE_PROGRESS_BARS is not None  # it has priority
    bars = not by_variable and not are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    if bars:
        disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            enable_progress_bars()
