"""Run `avscene serve` as a process of its own on loopback."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT

LISTENING = re.compile(r"listening on (http://\S+?)/?\s")
ENDS_WITHIN = 30  # seconds after SIGTERM


@dataclass(frozen=True)
class Serving:
    """A server that listens at `url`; `log` has what it printed, `jobs` is the directory of its jobs."""

    url: str
    log: Path
    directory: Path
    process: subprocess.Popen[bytes]


@contextmanager
def serve(home: Path, *options: str, module: str = "avscene") -> Iterator[Serving]:
    """Run `avscene serve --port 0 OPTIONS` with the data directory `home`, which is created; stop it by SIGTERM.

    `module` is run in place of `avscene`.
    """
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    command = [sys.executable, "-m", module, "serve", "--port", "0", *options]
    environment = os.environ | {"XDG_DATA_HOME": str(home)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
    try:
        while not (found := LISTENING.search(log.read_text("utf-8"))):
            assert process.poll() is None, log.read_text("utf-8")
            time.sleep(0.02)
        yield Serving(found[1], log, home / "avscene" / "server", process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(ENDS_WITHIN)
        finally:
            process.kill()
            process.wait()
