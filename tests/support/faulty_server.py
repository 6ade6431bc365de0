"""Run `avscene` with limits of seconds, not minutes, and with decoders that fail on files of certain suffixes.

Usage: `python -m tests.support.faulty_server serve ...`. A file `a.crash` crashes the decoder; see `faulty_worker`.
"""

import sys
from dataclasses import replace

from avscene.cli.main import main
from avscene.media.limits import Limits
from avscene.media.workers import process
from avscene.server import middleware
from avscene.server.settings import ServerSettings
from tests.support import faulty_worker

STALL = 5.0  # seconds in which a decoder must make progress
MEMORY = 0.5  # GiB
IDLE = 2.0  # seconds in which an upload must make progress

if __name__ == "__main__":
    process.COMMAND = (sys.executable, "-P", faulty_worker.__file__)
    usual = ServerSettings.limits.fget
    assert usual is not None
    ServerSettings.limits = property(lambda settings: short(usual(settings)))  # type: ignore[method-assign]

    def short(limits: Limits) -> Limits:
        return replace(limits, stall=STALL, memory=MEMORY)

    middleware.IDLE_SECONDS = IDLE  # type: ignore[misc]
    main()
