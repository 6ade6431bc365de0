"""Compute the output for the files in written_before/: `python tests/golden/written_before_answers.py` records it.

Record only when files are added, with the code that wrote them: the test is that later code gives the same output.
"""

import lzma
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from command_cases import INPUTS, call
from command_comparison import normalised
from store_summary import store_summary, table_version

WRITTEN = Path(__file__).parent / "written_before"
EXPECTED = WRITTEN / "expected"
EXACT = ["--device", "cpu", "--precision", "float32"]  # the default depends on the processor
EVEN = ["--prior", "0.5"]  # which mismatch scores were for when there was no option
COMPRESSED = ".xz"

Answers = dict[str, str]


def unpack(name: str, target: Path) -> Path:
    """Copy a file or directory of written_before/ to `target`, with its compressed files as they were written."""
    source = WRITTEN / name
    if source.is_file():
        shutil.copyfile(source, target)
        return target
    shutil.copytree(source, target)
    for path in [*target.rglob(f"*{COMPRESSED}")]:
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()
    return target


def checkpoint_answers(name: str, *options: str) -> Answers:
    """Classify a recording with a checkpoint, as a whole and by each of its models."""
    unpack(name, Path("system"))
    return {
        f"{name}.json": _printed("classify", "both.mp4", "--system", "system", "--format", "json", *options, *EXACT)
    }


def openl3_answers() -> Answers:
    """Compute the probabilities of an OpenL3 head for fixed embeddings; OpenL3 itself is not needed."""
    import torch
    from safetensors.torch import load_file

    from avscene.models.checkpoint import read_config
    from avscene.models.openl3.heads import OpenL3HeadPart

    config = read_config(unpack("openl3-head", Path("system")))
    (part,) = config.models
    assert isinstance(part, OpenL3HeadPart)
    network = part.network(len(config.labels))
    tensors = load_file("system/model.safetensors")
    # Counts of training batches, which nothing reads in inference, were not kept.
    counts = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    network.load_state_dict({name.removeprefix(f"{part.name}."): value for name, value in tensors.items()} | counts)
    random = np.random.default_rng(0)
    audio, image = (torch.from_numpy(random.normal(0, 1, (4, 512)).astype(np.float32)) for _ in range(2))
    with torch.inference_mode():
        probabilities = network.eval()(audio, image).double().softmax(dim=1).numpy()
    lines = ["\t".join(f"{value:.9g}" for value in row) for row in probabilities]
    return {"openl3-head.tsv": "\n".join(["\t".join(config.labels), *lines]) + "\n"}


def store_answers() -> Answers:
    """Read the rows of a store, and check that its embeddings are taken for current ones and not computed again."""
    from avscene.datasets.store.reader import SegmentStore

    directory = unpack("store", Path("store"))
    store = SegmentStore.open(directory)
    lines = ["recording\tlabel\tgroup\tstart\tend\tframes\tsamples\tlevel\tfirst\tlast\tmean"]
    embeddings = store.embeddings("efficientnet-lite0")
    for row, segment in enumerate(store.raw(range(len(store)), ("audio", "video"))):
        samples = np.zeros(0) if segment.waveform is None else segment.waveform
        level = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
        values = [store.starts[row], store.ends[row], len(segment.frames), len(samples), level]
        values += [embeddings[row, 0], embeddings[row, -1], embeddings[row].mean()]
        example = store.examples[row]
        lines.append("\t".join([example.name, example.label, example.group, *(f"{value:.6g}" for value in values)]))
    before = table_version(directory)
    _printed("embed", "store", "--encoder", "efficientnet-lite0", "--device", "cpu")
    assert table_version(directory) == before, "the embeddings were computed again"
    return {"store.tsv": "\n".join(lines) + "\n", "store.rows.tsv": store_summary(directory)}


def fusion_answers() -> Answers:
    """Fuse tables of other data by a saved fusion."""
    unpack("weights.json", Path("weights.json"))
    for name in ("audio", "video"):
        Path(f"fit.{name}.tsv").replace(f"{name}.tsv")  # weights are by the names of tables
    _printed("fuse", "audio.tsv", "video.tsv", "--weights", "weights.json", "--output", "fused.tsv")
    return {"fused.tsv": Path("fused.tsv").read_text(encoding="utf-8")}


def mismatch_answers() -> Answers:
    """Evaluate tables with a saved detector, and with that of a checkpoint."""
    answers = {}
    for name in ("mismatch.json", "fast"):
        unpack(name, Path(name))
        _printed("mismatch", "audio.tsv", "video.tsv", "--detector", name, "--output", "by.tsv", "--overwrite", *EVEN)
        for part in ("by.tsv", "by.recordings.tsv"):
            answers[f"{Path(name).stem}-{part}"] = Path(part).read_text(encoding="utf-8")
    return answers


ANSWERS: dict[str, Callable[[], Answers]] = {
    "fast": lambda: checkpoint_answers("fast", *EVEN),
    "late-fusion": lambda: checkpoint_answers("late-fusion"),
    "ensemble": lambda: checkpoint_answers("ensemble"),
    "openl3-head": openl3_answers,
    "store": store_answers,
    "weights": fusion_answers,
    "mismatch": mismatch_answers,
}


def answers_in(directory: Path, name: str) -> Answers:
    """Compute one of the answers in a new directory that has the made-up tables, on one thread."""
    import torch

    shutil.copytree(INPUTS, directory, dirs_exist_ok=True)
    before, threads = Path.cwd(), torch.get_num_threads()
    torch.set_num_threads(1)
    os.chdir(directory)
    try:
        return {file: normalised(Path(file), text) for file, text in ANSWERS[name]().items()}
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)


def _printed(*arguments: str) -> str:
    code, out, err = call(arguments)
    assert code == 0, err
    return out


if __name__ == "__main__":
    for made in ANSWERS:
        with tempfile.TemporaryDirectory() as directory:
            for file, text in answers_in(Path(directory) / "work", made).items():
                (EXPECTED / made).mkdir(parents=True, exist_ok=True)
                (EXPECTED / made / file).write_text(text, encoding="utf-8")
