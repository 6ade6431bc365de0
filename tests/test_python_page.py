"""Run docs/python.md, and test that it shows every public name, and that `dir` does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import RATE, Writer, write_media
from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scene_data: Path
) -> None:
    pytest.importorskip("pandas")
    shutil.copytree(scene_data, tmp_path / "recordings")
    write_media(tmp_path / "street.mp4", 3.0, fps=5)
    Writer(tmp_path / "voice.wav").audio(np.sin(np.arange(3 * RATE) / 9).astype(np.float32), codec="pcm_s16le").save()
    (tmp_path / "notes.txt").write_text("no video")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "conse video" in printed
    assert "failed: notes.txt notes.txt: is not a media file" in printed
    assert (tmp_path / "street.csv").read_text().startswith("start,end,scene_label,score\n0.0,1.0,")
    assert "<svg" not in printed
    assert (tmp_path / "street.html").exists()
    assert "6 segments" in printed  # three recordings of two seconds
    assert (tmp_path / "scores.tsv").exists()


def test_every_public_name_has_an_example() -> None:
    import avscene

    text = "\n".join(BLOCKS)
    shown = set(re.findall(r"\bavscene\.(\w+)", text)) | {"System" for _ in re.findall(r"\bsystem\.classify", text)}
    assert set(avscene.__all__) <= shown


def test_the_methods_of_a_system_and_a_prediction_have_examples() -> None:
    text = "\n".join(BLOCKS)
    for name in ("classify", "classify_many", "classify_arrays", "classify_stream"):
        assert f"system.{name}(" in text
    for name in ("to_dict", "to_pandas", "to_arrow", "top", "plot"):
        assert f"prediction.{name}(" in text


def test_dir_shows_the_public_names_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, avscene; names = dir(avscene); print(*names); print(*sorted(avscene.__all__));"
        "print([name for name in ('torch', 'numpy', 'av', 'pyarrow', 'plotly') if name in sys.modules]);"
        "[getattr(avscene, name) for name in names]; print(dir(avscene) == names)"
    )
    lines = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines[0] == lines[1]
    assert lines[2:] == ["[]", "True"]
    assert len(lines[0].split()) <= 12


def test_the_package_is_marked_as_typed() -> None:
    import avscene

    assert (Path(avscene.__file__).parent / "py.typed").is_file()
