"""Test that `avscene classify` reads only the files that it was given, not those that they refer to."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.media_files import plain_frame, write_media, write_photograph
from tests.support.observers import CountingServer, OpenedFiles
from tests.support.playlists import TEXTS, disguised, external_data, references
from tests.support.processes import ROOT

SECONDS = 7  # of the secret; nothing else lasts as long

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def write_secrets(folder: Path) -> None:
    """Write the files that are referred to, under names that the references, or image patterns, lead to."""
    write_media(folder / "secret.mp4", SECONDS)
    write_media(folder / "secret.ts", SECONDS)
    write_media(folder / "secret.mkv", SECONDS)
    (folder / "secret.sub").write_bytes((folder / "secret.ts").read_bytes())
    (folder / "subtitles.sub").write_bytes((folder / "secret.ts").read_bytes())
    for number in range(3):
        write_photograph(folder / f"secret{number:03d}.png", plain_frame(number))


def write_references(folder: Path, url: str) -> None:
    """Write every playlist with a relative name, a path, and URLs."""
    secret = folder / "secret.ts"
    targets = {"name": secret.name, "path": str(secret), "file": secret.as_uri(), "http": f"{url}/secret.ts"}
    for kind, target in targets.items():
        found = {name: text.format(target).encode() for name, text in TEXTS.items()}
        found |= disguised(TEXTS["segments.m3u8"].format(target)) | references(folder, target)
        mp4 = target.replace("secret.ts", "secret.mp4")
        found |= external_data((folder / "secret.mp4").read_bytes(), mp4, str(folder))
        for name, content in found.items():
            (folder / f"{kind}_{name}").write_bytes(content)
    for name in ("plain.mp3", "plain.ts"):
        (folder / name).unlink()


def test_files_and_servers_that_a_recording_refers_to_are_never_read(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    secrets = {path.name for path in tmp_path.iterdir()}
    with CountingServer((tmp_path / "secret.ts").read_bytes()) as server:
        write_references(tmp_path, server.url)
        given = sorted(path.name for path in tmp_path.iterdir() if path.name not in secrets)
        patterns = ["secret%03d.png", "concat:secret.ts|secret.ts"]
        patterns += ["file:secret.ts", "subfile,,start,0,end,0,,:secret.ts", "async:secret.ts", "data:video/mp4,x"]
        command = [sys.executable, "-m", "avscene", "classify", *given, *patterns, "--system", "conse"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        with OpenedFiles(tmp_path) as opened:
            run = subprocess.run(
                [*command, "--format", "jsonl"],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            names = opened.names()
            assert set(given) <= names
            assert not names & secrets
            assert server.connections == 0
            # What was observed would have been observed: the same file and server, opened on purpose.
            (tmp_path / "secret.ts").read_bytes()
            urllib.request.urlopen(f"{server.url}/secret.ts").read()
            assert opened.names() == {"secret.ts"}
            assert server.connections == 1
    assert "Traceback" not in run.stderr
    assert "internal error" not in run.stderr
    assert len(run.stdout.splitlines()) == len(given) + len(patterns)
    records = [json.loads(line) for line in run.stdout.splitlines()]
    assert all(record.get("duration", 0.0) < SECONDS - 1 for record in records)
