"""Compare all fusion rules, and rules that were tried and not kept, on real predictions; time their fitting.

python benchmarks/fusion.py TABLE.tsv... [--folds 5] [--output benchmarks/fusion.md]

All fits are out-of-fold by group. Differences are to the log-linear pool, with intervals from a bootstrap over groups.
"""

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import optimize

from avscene.evaluation.bootstrap import group_intervals
from avscene.evaluation.comparison import compare
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.fusion.cross_fit import CROSS_FIT_REPEATS, CrossFitted
from avscene.fusion.pooling import group_weights, mean, normalised_weights, softmax
from avscene.fusion.postprocess import fit_power
from avscene.fusion.tables import fuse_cross_fitted
from avscene.fusion.tree import Layout
from avscene.groups import shuffled_folds
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray
from avscene.tables.alignment import Aligned, align
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable

POOL = "log-pool"
REPEATS = 5
SIZES = ((3_645, 3), (36_450, 3), (36_450, 12))  # rows, systems

Pool = Callable[[FloatArray], FloatArray]  # logarithms (n_models, n, n_scenes) -> probabilities (n, n_scenes)
Fit = Callable[[FloatArray, IntArray, FloatArray], Pool]  # logarithms, truth and normalised weights of rows -> a pool
Rule = Callable[[FloatArray, FloatArray], FloatArray]  # parameters, logarithms -> probabilities (n, n_scenes)


def by_log_loss(
    start: FloatArray, n_bounded: int, rule: Callable[[FloatArray, FloatArray], FloatArray], ridge: float = 0
) -> Fit:
    """Return a fit of the parameters of `rule` by log loss, from `start` on.

    The first `n_bounded` are not negative; a `ridge` penalty applies to the others.
    """

    def fit(logs: FloatArray, truth: IntArray, share: FloatArray) -> Pool:
        rows = np.arange(len(truth))

        def loss(values: FloatArray) -> float:
            of_truth = rule(values, logs)[rows, truth]
            return float(-share @ np.log(np.maximum(of_truth, 1e-15)) + ridge * (values[n_bounded:] ** 2).sum())

        bounds = [(0, None)] * n_bounded + [(None, None)] * (len(start) - n_bounded)
        found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
        return lambda new: rule(found, new)

    return fit


def shrunk(strength: float, n_models: int) -> Fit:
    """Return the log-linear pool with exponents shrunk towards their mean."""

    def rule(values: FloatArray, logs: FloatArray) -> FloatArray:
        return softmax(np.tensordot(values[0] + values[1:], logs, axes=1))

    return by_log_loss(np.r_[1 / n_models, np.zeros(n_models)], 1, rule, strength)


def candidates(n_models: int, n_scenes: int) -> dict[str, Fit]:
    """Return the rules that were tried beside those of the package."""
    equal = np.full(n_models, 1 / n_models)

    def weighted_mean(values: FloatArray, logs: FloatArray) -> FloatArray:
        linear = np.tensordot(values[1:] / (values[1:].sum() + 1e-9), np.exp(logs), axes=1)
        return softmax(values[0] * np.log(linear))

    def with_chance(values: FloatArray, logs: FloatArray) -> FloatArray:
        share = 1 / (1 + np.exp(-values[n_models]))
        return softmax(np.tensordot(values[:n_models], np.log((1 - share) * np.exp(logs) + share / n_scenes), axes=1))

    def with_mean(values: FloatArray, logs: FloatArray) -> FloatArray:
        linear = np.log(np.exp(logs).mean(axis=0))
        return softmax(np.tensordot(values[:n_models], logs, axes=1) + values[n_models] * linear)

    def biased(values: FloatArray, logs: FloatArray) -> FloatArray:
        return softmax(np.tensordot(values[:n_models], logs, axes=1) + values[n_models:])

    def by_scene(values: FloatArray, logs: FloatArray) -> FloatArray:
        exponents = values[:n_models, None] + values[n_models:].reshape(n_models, n_scenes)
        return softmax((exponents[:, None] * logs).sum(axis=0))

    return {
        "one exponent for all": by_log_loss(equal[:1], 1, lambda values, logs: softmax(values[0] * logs.sum(axis=0))),
        "exponents shrunk to their mean (0.01)": shrunk(0.01, n_models),
        "exponents shrunk to their mean (0.1)": shrunk(0.1, n_models),
        "weighted mean, one exponent": by_log_loss(np.r_[1.0, equal], n_models + 1, weighted_mean),
        "pool with a share of chance in each system": by_log_loss(np.r_[equal, -4.0], n_models, with_chance),
        "pool with the mean as one more system": by_log_loss(np.r_[equal, 0.1], n_models + 1, with_mean),
        "pool and a bias for each scene": by_log_loss(np.r_[equal, np.zeros(n_scenes)], n_models, biased),
        "pool and a bias for each scene (ridge 0.1)": by_log_loss(
            np.r_[equal, np.zeros(n_scenes)], n_models, biased, 0.1
        ),
        "exponents for each scene (ridge 0.1)": by_log_loss(
            np.r_[equal, np.zeros(n_models * n_scenes)], n_models, by_scene, 0.1
        ),
        "temperature of each system, then the mean": tempered_mean,
    }


def tempered_mean(logs: FloatArray, truth: IntArray, share: FloatArray) -> Pool:
    exponents = [fit_power(np.exp(one), truth, share, deviation=1e3) for one in logs]  # no prior
    return lambda new: mean(np.stack([softmax(k * one) for k, one in zip(exponents, new, strict=True)]))


def out_of_fold(fit: Fit, aligned: Aligned, n_folds: int) -> FloatArray:
    """Return the out-of-fold probabilities of a candidate, by the folds that the package draws (`CrossFitted`)."""
    tables = list(aligned.tables.values())
    logs = np.log(np.stack([table.floored for table in tables]))
    groups, truth = np.array(tables[0].groups), tables[0].truth_index
    repeats = []
    for draw in range(CROSS_FIT_REPEATS):
        fused = np.empty(logs.shape[1:])
        folds = shuffled_folds(tuple(groups), truth, n_folds, draw)
        for fold in range(n_folds):
            on, off = folds != fold, folds == fold
            share = normalised_weights(group_weights(tuple(groups[on])), int(on.sum()))
            fused[off] = fit(logs[:, on], truth[on], share)(logs[:, off])
        repeats.append({POOL: fused})
    return CrossFitted.of(repeats, truth).stages[POOL]


@dataclass(frozen=True)
class FusionResult:
    name: str
    table: ScoreTable
    kind: str


def results_of(aligned: Aligned, n_folds: int) -> list[FusionResult]:
    """Return the systems, every rule and post-processing step of the package, and every candidate."""
    found = [FusionResult(name, table, "system") for name, table in aligned.tables.items()]
    first = next(iter(aligned.tables.values()))
    for rule in ("mean", "product", "samplewise", POOL):
        found += _stages(aligned, Layout(name="x", members=tuple(aligned.tables), rule=rule), n_folds)
    for confidence in ("precision", "recall", "f1"):
        layout = Layout(name="x", members=tuple(aligned.tables), rule="classwise", confidence=confidence)
        found += [replace(result, name=f"{result.name} ({confidence})") for result in _stages(aligned, layout, n_folds)]
    for name, fit in candidates(len(aligned.tables), len(first.labels)).items():
        scores = out_of_fold(fit, aligned, n_folds)
        found.append(FusionResult(name, replace(first, probabilities=scores, resolution=0.0), "tried, not kept"))
    return found


def _stages(aligned: Aligned, layout: Layout, n_folds: int) -> list[FusionResult]:
    stages: dict[str, ScoreTable] = {}
    for steps in (("power",), ("vector",)):
        stages |= fuse_cross_fitted(aligned, layout.model_copy(update={"postprocess": steps}), n_folds).stages
    return [FusionResult(name, table, "rule") for name, table in stages.items()]


def table_of(results: list[FusionResult]) -> str:
    pool = next(result for result in results if result.name == POOL)
    rows = [
        "| | | log loss | 95 % interval | accuracy | 95 % interval | log loss minus log-pool | p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in sorted(results, key=lambda result: log_loss(result.table.truth_index, result.table.probabilities)):
        truth, values = result.table.truth_index, result.table.probabilities
        spans = group_intervals(result.table)
        loss, right = spans["log_loss"], spans["accuracy"]
        name = f"**{result.name}**" if result is pool else result.name
        rows.append(
            f"| {name} | {result.kind} | {log_loss(truth, values):.4f} | {loss.low:.3f} to {loss.high:.3f} "
            f"| {accuracy(truth, values):.4f} | {right.low:.3f} to {right.high:.3f} | {_difference(result, pool)} |"
        )
    return "\n".join(rows)


def _difference(result: FusionResult, pool: FusionResult) -> str:
    if result is pool:
        return "| "
    found = compare({"result": result.table, "pool": pool.table}).between("result", "pool").log_loss
    span = "" if found.interval is None else f" ({found.interval.low:+.4f} to {found.interval.high:+.4f})"
    return f"{found.value:+.4f}{span} | {found.p:.3f}"


def synthetic_tables(n_rows: int, n_systems: int) -> Mapping[str, ScoreTable]:
    """Return tables of ten scenes with an accuracy of about 75 % and correlated errors; 40 rows per group."""
    random = np.random.default_rng(0)
    scenes = LabelSet(tuple(f"scene_{index}" for index in range(10)))
    groups = np.arange(n_rows) // 40
    truth = groups % 10
    common = random.normal(size=(n_rows, 10))
    found = {}
    for system in range(n_systems):
        logits = common + random.normal(size=(n_rows, 10))
        logits[np.arange(n_rows), truth] += 2.5
        found[f"s{system}"] = ScoreTable(
            scenes,
            tuple(f"{row}.wav" for row in range(n_rows)),
            softmax(logits),
            groups=tuple(f"g{group}" for group in groups),
            truth=tuple(scenes.names[scene] for scene in truth),
        )
    return found


def timings() -> str:
    rows = [
        "| rows | systems | reading | fitting and cross-fitting (5 folds, 5 draws) | memory, peak so far |",
        "|---|---|---|---|---|",
    ]
    for n_rows, n_systems in SIZES:
        with tempfile.TemporaryDirectory() as directory:
            paths = {name: Path(directory) / f"{name}.tsv" for name in synthetic_tables(1, n_systems)}
            for name, table in synthetic_tables(n_rows, n_systems).items():
                write_table(paths[name], table)
            seconds = [_timed(paths) for _ in range(REPEATS)]
        reading, fitting = (statistics.median(kind) for kind in zip(*seconds, strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(f"| {n_rows:,} | {n_systems} | {reading:.2f} s | {fitting:.2f} s | {peak:,.0f} MB |")
    return "\n".join(rows)


def _timed(paths: Mapping[str, Path]) -> tuple[float, float]:
    start = time.perf_counter()
    aligned = align({name: read_table(path) for name, path in paths.items()})
    read = time.perf_counter()
    fuse_cross_fitted(aligned, Layout(name="x", members=tuple(paths), rule=POOL, postprocess=("power",)), 5)
    return read - start, time.perf_counter() - read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("fusion.md"))
    options = parser.parse_args()
    aligned = align({path.stem: read_table(path) for path in options.tables})
    first = next(iter(aligned.tables.values()))
    command = f"python benchmarks/fusion.py {' '.join(path.name for path in options.tables)} --folds {options.folds}"
    extent = (
        f"{len(first):,} rows of {len(set(first.groups or ())):,} groups; {options.folds} folds, "
        f"drawn {CROSS_FIT_REPEATS} times; results are those of the draw whose log loss is nearest to the mean"
    )
    machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    text = f"""# Fusion rules on real predictions

Made by `{command}`.

{extent}. Every row is fused with parameters fitted without its group. Zeros are raised to half the rounding step of
the tables. Intervals are from a bootstrap over groups, p from a permutation test that swaps systems in whole groups.

{table_of(results_of(aligned, options.folds))}

## Time and memory

{machine}, numpy {np.__version__}; medians of {REPEATS} on synthetic tables.

{timings()}
"""
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
