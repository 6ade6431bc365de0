"""Compare priors of the log-linear pool's exponents when few groups are available for fitting.

python -m benchmarks.few_groups --of TITLE TABLE.tsv... [--of TITLE TABLE.tsv...] [--output benchmarks/few_groups.md]

Groups are drawn evenly over the scenes; exponents are fitted on them and evaluated on all others.
"""

import argparse
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from scipy import optimize

from avscene.evaluation.metrics import accuracy, log_loss
from avscene.fusion.pooling import fit_log_pool, group_weights, log_pool, softmax
from avscene.records import FloatArray, IntArray
from avscene.tables.alignment import Aligned, align
from avscene.tables.prediction_table import read_table

NUMBERS = (10, 20, 40, 80, 160)  # of groups to fit on
DRAWS = 40
PENALTIES = {"none": 0.0, "towards 0": 0.5}  # log losses of a group per unit of exponent
OURS = "by modality (ours)"


def fit_penalised(scores: FloatArray, truth: IntArray, weights: FloatArray, penalty: float) -> FloatArray:
    """Return the exponents (n_models,) that minimise the log loss plus `penalty` times their sum."""
    logs, rows = np.log(scores), np.arange(len(truth))

    def loss(exponents: FloatArray) -> float:
        of_truth = softmax(np.tensordot(exponents, logs, axes=1))[rows, truth]
        return float((-weights @ np.log(np.maximum(of_truth, 1e-300)) + penalty * exponents.sum()) / weights.sum())

    start = np.full(len(scores), 1 / len(scores))
    return np.asarray(optimize.minimize(loss, start, method="L-BFGS-B", bounds=[(0, None)] * len(scores)).x)


def draw_groups(groups: Sequence[str], truth: IntArray, number: int, seed: int) -> set[str]:
    """Draw `number` groups, from one scene after the other."""
    shuffled = np.random.default_rng(seed).permutation(sorted(set(groups)))
    scene = dict(zip(groups, truth, strict=True))
    by_scene = [[name for name in shuffled if scene[name] == one] for one in np.unique(truth)]
    in_turn = [name for name in chain.from_iterable(zip_longest(*by_scene)) if name is not None]
    return set(in_turn[:number])


def evaluate_priors(aligned: Aligned, number: int) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return by prior: log loss and accuracy (DRAWS, 2) on the other groups, exponents (DRAWS, n_models)."""
    first = next(iter(aligned.tables.values()))
    scores = np.stack([table.floored for table in aligned.tables.values()])
    needs = [table.modality or "both" for table in aligned.tables.values()]
    groups, truth = first.groups or first.filenames, first.truth_index
    results: dict[str, list[tuple[tuple[float, float], FloatArray]]] = {name: [] for name in (OURS, *PENALTIES)}
    for seed in range(DRAWS):
        chosen = draw_groups(groups, truth, number, seed)
        on = np.array([group in chosen for group in groups])
        weights = group_weights([group for group in groups if group in chosen])
        for name, lines in results.items():
            if name == OURS:
                exponents = fit_log_pool(scores[:, on], truth[on], weights, needs)
            else:
                exponents = fit_penalised(scores[:, on], truth[on], weights, PENALTIES[name])
            fused = log_pool(scores[:, ~on], exponents)
            lines.append(((log_loss(truth[~on], fused), accuracy(truth[~on], fused)), exponents))
    return {name: tuple(map(np.array, zip(*lines, strict=True))) for name, lines in results.items()}


def table_of(aligned: Aligned) -> str:
    groups = len(set(next(iter(aligned.tables.values())).groups or ()))
    rows = [
        "| groups | prior | log loss | accuracy | log loss minus ours | exponents, mean (deviation) |",
        "|---|---|---|---|---|---|",
    ]
    for number in (number for number in NUMBERS if number < groups):
        found = evaluate_priors(aligned, number)
        for name, (metrics, exponents) in found.items():
            loss, right = metrics.mean(axis=0)
            more = metrics[:, 0] - found[OURS][0][:, 0]
            difference = "" if name == OURS else f"{more.mean():+.4f} ± {more.std(ddof=1) / np.sqrt(DRAWS):.4f}"
            spans = ", ".join(
                f"{a:.2f} ({b:.2f})" for a, b in zip(exponents.mean(axis=0), exponents.std(axis=0), strict=True)
            )
            rows.append(f"| {number} | {name} | {loss:.4f} | {right:.4f} | {difference} | {spans} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", nargs="+", action="append", required=True, metavar=("TITLE", "TABLE.tsv"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("few_groups.md"))
    options = parser.parse_args()
    text = f"""# Exponents from few groups

Made by `python -m benchmarks.few_groups`. As many groups as the first column states are drawn {DRAWS} times,
evenly over the scenes; the exponents of a log-linear pool are fitted on them and evaluated on all others. The priors:
ours (PRIOR_DEVIATION {PRIOR_DEVIATION}, see `fit_log_pool`), none, and {PENALTIES["towards 0"]} log losses of a group
per unit of exponent. After ± is the standard error.
"""
    for title, *paths in options.of:
        aligned = align({Path(path).stem: read_table(path) for path in paths})
        first = next(iter(aligned.tables.values()))
        extent = f"{len(first):,} rows of {len(set(first.groups or ())):,} groups; systems {', '.join(aligned.tables)}."
        text += f"\n## {title}\n\n{extent}\n\n{table_of(aligned)}\n"
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
