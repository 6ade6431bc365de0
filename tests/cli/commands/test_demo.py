"""Test `avscene demo` from its first stage to its last."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from avscene.models.checkpoint import is_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_the_demo_runs_every_stage_and_fusion_improves_the_log_loss(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from avscene.cli.main import main; main()", "demo", "--output", "demo"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    rows = {
        name.strip(): float(log_loss)
        for name, log_loss in re.findall(r"^  (\S+(?: \+ \S+)?) +(\d\.\d{3}) +[\d.]+%", run.stdout, re.M)
    }
    alone = {rows.pop("audio"), rows.pop("video")}
    assert set(rows) == {"mean", "product", "classwise", "log-pool", "log-pool + power", "log-pool + vector"}
    assert min(rows.values()) <= 0.7 * min(alone)
    assert "demo/unseen.mp4  0:12" in run.stdout
    assert is_checkpoint(tmp_path / "demo" / "system")
    report = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "Confusion matrix" in report
    assert "unseen.mp4" in report
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "already exists" in again.stderr
