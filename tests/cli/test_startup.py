"""The first result comes soon: a classification imports only the libraries that it needs."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.media_files import write_media

CODE = """
import sys
from avscene.cli.main import main
sys.argv = ["avscene", "classify", sys.argv[1], "--system", "conse", "--format", "json"]
try:
    main()
except SystemExit as left:
    assert left.code == 0, left.code
unneeded = {"torchvision", "timm", "transformers", "open_clip", "torch._dynamo", "pyarrow", "lance", "plotly"}
unneeded |= {"scipy.stats", "scipy.optimize", "huggingface_hub", "httpx"}
assert not unneeded & set(sys.modules), unneeded & set(sys.modules)
"""


def test_classifying_with_conse_imports_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    video = write_media(tmp_path / "video.mp4", 2, size=(64, 64))
    done = subprocess.run([sys.executable, "-c", CODE, str(video)], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["system"] == "conse"
