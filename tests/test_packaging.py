"""Test that the wheel holds the package, and that the files for containers and systemd agree with it and each other."""

import ast
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from tests.support.processes import ROOT

PACKAGE = "src/avscene/"
INSTRUCTION = re.compile(r"^([A-Z]+) +(.*)$")
UNIT = re.compile(r"^```ini\n(\[Unit\].*?)^```$", re.MULTILINE | re.DOTALL)
LARGEST_EXPOSURE = 2.0  # of 10, as systemd rates a unit; below 2 it is "OK"


def package_files() -> set[str]:
    """Return the files of the package, relative to the repository."""
    paths = {str(path.relative_to(ROOT)) for path in (ROOT / PACKAGE).rglob("*") if path.is_file()}
    return {path for path in paths if "__pycache__" not in path}


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments; continued lines are joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    found = [INSTRUCTION.match(line) for line in joined]
    assert all(found), joined
    return [(match[1], match[2]) for match in found if match]


def arguments(instruction: str) -> list[str]:
    return [text for name, text in dockerfile() if name == instruction]


def compose() -> dict[str, object]:
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"].values()
    return service


def test_no_file_of_the_package_is_left_out_of_the_wheel_by_gitignore() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout of git")
    command = ["git", "check-ignore", "--no-index", "--stdin"]
    listed = "\n".join(package_files())
    ignored = subprocess.run(command, cwd=ROOT, check=False, input=listed, capture_output=True, text=True)
    assert (ignored.returncode, ignored.stdout) == (1, "")  # 1: none is ignored


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed beside this Python")
def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("avscene-*.whl")
    names = {f"src/{name}" for name in ZipFile(wheel).namelist() if name.startswith("avscene/")}
    assert names == package_files()


def test_the_dockerfile_copies_files_that_exist_and_are_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert lines[1] == "*", "everything else is left out"
    copied = [text.split()[:-1] for text in arguments("COPY") if "--from=" not in text]
    assert {source for sources in copied for source in sources} == sent
    assert all((ROOT / source).exists() for source in sent)


def test_stages_of_the_dockerfile_begin_with_the_official_image_and_copy_from_each_other() -> None:
    stages = [text.split() for text in arguments("FROM")]
    assert {words[0] for words in stages} == {"python:${PYTHON}-slim"}
    named = [words[2] for words in stages if len(words) == 3]
    assert re.findall(r"--from=(\w+)", "\n".join(arguments("COPY"))) == named
    tested = re.search(r"^python_version = \"(.*)\"$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert tested is not None
    assert f"PYTHON={tested[1]}" in arguments("ARG")


def test_the_container_runs_as_a_user_without_rights() -> None:
    last_stage = dockerfile()[max(n for n, (name, _) in enumerate(dockerfile()) if name == "FROM") :]
    users = [text for name, text in last_stage if name == "USER"]
    assert users == ["10001"]
    assert f"--uid {users[0]} " in "".join(text for name, text in last_stage if name == "RUN")


def test_the_health_check_of_the_container_asks_the_port_that_it_exposes() -> None:
    command = arguments("HEALTHCHECK")[0].partition(" CMD ")[2]
    program, option, code = json.loads(command)
    assert (program, option) == ("python", "-c")
    ast.parse(code)
    assert f"'127.0.0.1', {arguments('EXPOSE')[0]}," in code
    assert "'/healthz'" in code


def test_compose_agrees_with_the_dockerfile() -> None:
    service = compose()
    assert set(service["build"]["args"]) <= {text.partition("=")[0] for text in arguments("ARG")}
    address, outside, inside = service["ports"][0].split(":")
    assert (address, outside, inside) == ("127.0.0.1", "8000", arguments("EXPOSE")[0])
    (volume,) = service["volumes"]
    assert volume.partition(":")[2] == arguments("VOLUME")[0]
    assert service["environment"]["AVSCENE_TOKEN"].startswith("${AVSCENE_TOKEN:?"), "it has no default"


def test_the_unit_of_the_documentation_is_valid_and_hardened(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    unit = UNIT.search((ROOT / "docs" / "server.md").read_text(encoding="utf-8"))
    assert unit is not None
    path = tmp_path / "avscene.service"
    path.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit[1], flags=re.MULTILINE))
    checked = subprocess.run(["systemd-analyze", "verify", path], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", path]
    rated = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    exposure = re.search(r"Overall exposure level for avscene.service: ([\d.]+)", rated)
    assert exposure is not None
    assert float(exposure[1]) <= LARGEST_EXPOSURE
