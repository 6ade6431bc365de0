"""Test that the memory of the process that drives a run does not grow with the number of its inputs."""

import json
import subprocess
import sys

import pytest

# The listing and the records are simulated, the rest is real: the list, the look-up, the journal, the order of results.
DRIVE = """
import json, runpy, sys, tempfile, time
from itertools import islice
from pathlib import Path
from avscene.cli.input_list import InputList
from avscene.inference.runs.files import FileRun
from avscene.inference.runs.computing import Settings
from avscene.inference.journal import FileState, open_journal
from avscene.inference.journal.content import key_of
from avscene.inference.journal.database import NewRecord
from avscene.inference.journal.outcomes import pack
from avscene.inference.runs.remote import RemoteRecord
from avscene.labels import LabelSet

number = int(sys.argv[1])
made = runpy.run_path("tests/golden/regenerate_formats.py")["PREDICTIONS"]
outcome = pack(next(iter(made.values()))())

class System:
    name, labels, hop, fingerprint = "conse", LabelSet(("kitchen", "street", "forest")), 1.0, "any"

class Remote:
    def records(self, missing):
        while unit := list(islice(missing, 64)):
            records = [NewRecord(key_of(source), FileState("1", "1"), outcome) for _, source in unit]
            yield [(at, RemoteRecord(record)) for (at, _), record in zip(unit, records)][::-1]

def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if "VmHWM" in line)

with tempfile.TemporaryDirectory() as folder:
    inputs = InputList(f"/archive/{at % 997:03}/recording-of-a-day-{at:08}.mp4" for at in range(number))
    settings, system = Settings(), System()
    with open_journal(Path(folder) / "a.journal", settings.fingerprint(system)) as journal:
        run = FileRun(system, inputs, settings, journal, remote=Remote())
        begun = time.perf_counter()
        count = sum(1 for _ in run.outcomes())
        seconds = time.perf_counter() - begun
assert count == number, count
print(json.dumps([peak(), number / seconds]))
"""


def drive(number: int) -> tuple[float, float]:
    """Return the peak memory in MB and the files per second of a run over `number` inputs."""
    done = subprocess.run([sys.executable, "-c", DRIVE, str(number)], check=True, stdout=subprocess.PIPE, text=True)
    peak, rate = json.loads(done.stdout)
    return peak, rate


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_inputs() -> None:
    (few, _), (many, _) = drive(1_000), drive(200_000)
    assert many - few < 20
