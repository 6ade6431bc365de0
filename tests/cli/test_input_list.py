"""Test the list of inputs: what was put in comes out, and memory does not grow with it."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from avscene.cli.input_list import InputList
from avscene.cli.inputs import find_inputs
from avscene.errors import MediaError
from avscene.records import Failure

names = st.binary(max_size=300).map(os.fsdecode)
items = st.lists(names | st.tuples(names, st.text(max_size=200)), max_size=60)


@given(items, st.data())
def test_items_come_out_as_they_were_put_in(values: list[str | tuple[str, str]], data: st.DataObject) -> None:
    put_in = [Failure(item[0], MediaError(item[1])) if isinstance(item, tuple) else item for item in values]
    inputs = InputList(put_in)
    assert [_value(item) for item in inputs] == values
    assert [_value(inputs[position]) for position in range(len(inputs))] == values
    assert list(inputs.paths()) == [item for item in values if isinstance(item, str)]
    if values:
        start = data.draw(st.integers(0, len(values)))
        assert [_value(item) for item in inputs[start:]] == values[start:]
        assert _value(inputs[-1]) == values[-1]


def test_items_longer_than_a_block_come_out_too() -> None:
    put_in = ["a" * 200_000, "", "b" * 70_000, "c"]
    assert list(InputList(put_in)) == put_in


def test_a_folder_is_searched_in_the_order_of_all_its_paths(tmp_path: Path) -> None:
    for name in ("a/z.mp4", "a-b/x.mp4", "a.mp4", "a/b/c.mp4", "B.mp4", "a/b.mp4", "a b/1.mp4", "é/y.mp4", "a0.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = list(find_inputs([str(tmp_path)]))
    assert found == sorted(str(path) for path in tmp_path.rglob("*.mp4"))


LISTING = """
import sys, tempfile
from pathlib import Path
from avscene.cli.inputs import expand
import avscene.inference.runs.resumable
from avscene.inference.runs.files import FileRun

number = int(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    listed = Path(folder) / "archive.txt"
    with listed.open("w") as file:
        for position in range(number):
            print(f"/archive/of/a/broadcaster/{position % 997:03}/recording-of-a-day-{position:08}.mp4", file=file)
    inputs = expand([str(listed)])
    assert len(inputs) == number
    for path in inputs.paths():
        pass
    print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
"""


def test_memory_does_not_grow_with_the_number_of_listed_inputs() -> None:
    def peak(number: int) -> float:
        command = [sys.executable, "-c", LISTING, str(number)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return int(done.stdout) / 1024  # MB

    assert peak(200_000) - peak(1_000) < 10


def _value(item: str | Failure) -> str | tuple[str, str]:
    return item if isinstance(item, str) else (item.source, str(item.error))
