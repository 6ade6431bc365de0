"""Compare floors of log-mels across codecs, and heads trained with and without augmented log-mels.

python -m benchmarks.audio_conditions DATA --train fold=1,fold=2 --test fold=5 [--output benchmarks/audio_conditions.md]

DATA has recordings with audio. The audio head of recipe `fast` is trained on the recordings of one codec and judged on
those of each: the same recordings, encoded by the ffmpeg program. Needs `pip install imageio-ffmpeg`.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.features.logmel import LogMelSpec
from avscene.media.sampling import Sampling
from avscene.models import SegmentEncoder
from avscene.models.device import Runtime
from avscene.models.linear_heads import AudioEncoder
from avscene.models.registry import HeadsSystem, find
from avscene.records import Example, FloatArray, IntArray
from avscene.training.embed import Embeddings, embed_dataset
from avscene.training.heads.augmented_audio import AugmentedAudioEncoder
from avscene.training.heads.linear_heads import FittedHead, fit_head

FLOORS = (-100.0, -90.0, -80.0, -70.0)  # dB
# Options of the ffmpeg program; the first four are trained on.
CODECS = {
    "wav": (".wav", "-c:a", "pcm_s16le"),
    "aac": (".m4a", "-c:a", "aac", "-b:a", "96k"),
    "opus": (".opus", "-c:a", "libopus", "-b:a", "64k"),
    "mp3": (".mp3", "-c:a", "libmp3lame", "-b:a", "96k"),
    "mp3 64k": (".mp3", "-c:a", "libmp3lame", "-b:a", "64k"),
    "8 kHz": (".wav", "-ar", "8000", "-c:a", "pcm_mulaw"),
    "-20 dB": (".wav", "-af", "volume=-20dB", "-c:a", "pcm_s16le"),
}
TRAINED_ON = tuple(CODECS)[:4]
AUGMENTED = "augmented"


def encoded(data: DataSet, codec: str, directory: Path) -> DataSet:
    """Encode the audio of every recording."""
    suffix, *options = CODECS[codec]
    directory.mkdir()
    examples = []
    for number, example in enumerate(data.examples):
        path = directory / f"{number}{suffix}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(example.path), "-vn"]
        subprocess.run([*command, *options, str(path)], check=True)
        examples.append(replace(example, path=path))
    return DataSet(directory, tuple(examples))


def encoders() -> dict[str, SegmentEncoder]:
    """Return the audio encoder of `fast` with each floor, and on augmented log-mels."""
    row, runtime = find("fast"), Runtime.choose("cpu", "float32", offline=True)
    assert isinstance(row, HeadsSystem)
    head = row.heads["audio"]
    assert head.input == "audio"
    by_floor = {
        f"{floor:g}": AudioEncoder(LogMelSpec(**{**head.log_mel, "floor_db": floor}), runtime, head.image_size)
        for floor in FLOORS
    }
    current = AudioEncoder(LogMelSpec(**head.log_mel), runtime, head.image_size)
    return {**by_floor, AUGMENTED: AugmentedAudioEncoder(current)}


def split(data: DataSet, conditions: str) -> tuple[Example, ...]:
    """Return the recordings that meet one of `conditions`, such as `fold=1,fold=2`."""
    return tuple(example for condition in conditions.split(",") for example in data.only(condition).examples)


def judge(head: FittedHead, embeddings: FloatArray, truth: IntArray) -> tuple[float, float, IntArray]:
    """Return log loss and accuracy of the scored rows, and the answers (n,), -1 where a row was not scored."""
    probabilities = head.head.probabilities(embeddings)
    scored = ~np.isnan(probabilities[:, 0])
    answers = np.where(scored, np.nan_to_num(probabilities).argmax(axis=1), -1)
    return (*(float(f(truth[scored], probabilities[scored])) for f in (log_loss, accuracy)), answers)


def floor_rows(trained: dict[str, Embeddings], tested: dict[str, Embeddings], names: Sequence[str]) -> Iterator[str]:
    """Yield a row for each floor and codec of training: log loss, accuracy and changed answers on each codec."""
    for floor in FLOORS:
        for codec, embedded in trained.items():
            truth = embedded.truth(names)
            head = fit_head(embedded.by_encoder[f"{floor:g}"], truth, embedded.groups, len(names))
            found = {c: judge(head, e.by_encoder[f"{floor:g}"], e.truth(names)) for c, e in tested.items()}
            own = found[codec][2]
            cells = [
                f"{loss:.3f} / {right:.3f} / {(answers != own).mean():.3f}" for loss, right, answers in found.values()
            ]
            yield " | ".join(["", f"{floor:g}", codec, *cells, ""]).strip()


def augmentation_rows(trained: Embeddings, tested: dict[str, Embeddings], names: Sequence[str]) -> Iterator[str]:
    """Yield a row for heads trained without and with augmented log-mels: log loss and accuracy on each codec."""
    default = f"{LogMelSpec.floor_db:g}"
    for title, augmented in (("clean", None), ("clean and augmented", trained.by_encoder[AUGMENTED])):
        values = trained.by_encoder[default]
        head = fit_head(values, trained.truth(names), trained.groups, len(names), augmented)
        found = [judge(head, e.by_encoder[default], e.truth(names)) for e in tested.values()]
        yield " | ".join(["", title, *(f"{loss:.3f} / {right:.3f}" for loss, right, _ in found), ""]).strip()


def header(*columns: str) -> list[str]:
    """Return the first two lines of a table in Markdown."""
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    data, by_name = read_dataset(options.data), encoders()
    names, sampling = data.labels.names, Sampling(sample_rate=by_name[AUGMENTED].sample_rate)
    trained, tested = {}, {}
    with tempfile.TemporaryDirectory() as directory:
        for codec in CODECS:
            for part, conditions, kept in (("train", options.train, trained), ("test", options.test, tested)):
                if part == "test" or codec in TRAINED_ON:
                    copy = encoded(
                        DataSet(data.source, split(data, conditions)), codec, Path(directory) / f"{part} {codec}"
                    )
                    kept[codec] = embed_dataset(copy, by_name, sampling)
    n_train, n_test = (len(next(iter(embedded.values())).examples) for embedded in (trained, tested))
    lines = [
        "# Audio of other codecs, sample rates and levels",
        "",
        f"Made by `python -m benchmarks.audio_conditions DATA --train {options.train} --test {options.test}`, on the",
        f"everyday data set: {n_train} segments to train on, {n_test} of other groups to judge. The model is the audio",
        "head of recipe `fast`. Rows: what was trained on. Columns: the same recordings as other files.",
        "",
        "## Floor of the log-mels",
        "",
        "Log loss / accuracy / share of the answers that differ from those on the codec of training.",
        "",
        *header("floor (dB)", "trained on", *TRAINED_ON),
        *floor_rows(trained, {codec: tested[codec] for codec in TRAINED_ON}, names),
        "",
        "## Training on augmented log-mels",
        "",
        f"Floor {LogMelSpec.floor_db:g} dB, trained on wav; log loss / accuracy.",
        "",
        *header("trained on", *CODECS),
        *augmentation_rows(trained["wav"], tested, names),
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
