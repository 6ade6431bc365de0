"""Compare priors of fitted exponents and biases when few groups are available for fitting.

python -m benchmarks.few_groups [--of TITLE TABLE.tsv...]... [--heads DATA] [--output benchmarks/few_groups.md]

Groups are drawn evenly over the scenes; parameters are fitted on them and evaluated on all others. With `--heads`, the
heads of recipe fast are trained on the drawn groups of a data set, to compare their temperatures.
"""

import argparse
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import torch
from scipy import optimize

from avscene.datasets.layout import read_dataset
from avscene.evaluation.metrics import log_loss
from avscene.fusion.pooling import classwise, fit_classwise, fit_log_pool, group_weights, log_pool, softmax
from avscene.fusion.postprocess import apply_vector_scaling, fit_power, fit_vector_scaling
from avscene.fusion.prior import DEVIATION, SCENE_DEVIATION
from avscene.models.device import Runtime
from avscene.models.registry import HeadsSystem, find
from avscene.records import FloatArray, IntArray
from avscene.tables.alignment import Aligned, align
from avscene.tables.prediction_table import read_table
from avscene.training.embed import Embeddings, embed_dataset
from avscene.training.heads.frozen_encoders import encoder_of, sampling_of
from avscene.training.heads.linear_heads import fit_head

NUMBERS = (10, 20, 40, 80, 160)  # of groups to fit on
DRAWS = 12
NO_PRIOR = 1e3  # a deviation so large that the prior has no effect
DEVIATIONS = {"none": NO_PRIOR, "0.1": 0.1, f"{DEVIATION} (ours)": DEVIATION, "0.5": 0.5}
SCENE_DEVIATIONS = {"none": NO_PRIOR, "0.03": 0.03, f"{SCENE_DEVIATION} (ours)": SCENE_DEVIATION, "0.2": 0.2}
PENALTY = 0.5  # log losses of a group per unit of exponent
TOWARDS_0 = "towards 0"
HEADS = ((2, 2), (2, 5), (3, 2), (3, 5), (5, 2), (5, 4), (10, 2), (10, 4))  # scenes, groups of each
HEADS_DRAWS = 5
Losses = dict[str, list[float]]  # by prior, of every draw


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


def pool_table(aligned: Aligned) -> str:
    """Return a table of the log loss on other groups of pools whose exponents were fitted on few groups."""
    first = next(iter(aligned.tables.values()))
    scores = np.stack([table.floored for table in aligned.tables.values()])
    needs = [table.modality or "both" for table in aligned.tables.values()]
    groups, truth = first.groups or first.filenames, first.truth_index
    found: dict[int, Losses] = {}
    for number in (number for number in NUMBERS if number < len(set(groups))):
        losses: Losses = {name: [] for name in (*DEVIATIONS, TOWARDS_0)}
        for seed in range(DRAWS):
            on, weights = _drawn(groups, truth, number, seed)
            for name, line in losses.items():
                if name == TOWARDS_0:
                    exponents = fit_penalised(scores[:, on], truth[on], weights, PENALTY)
                else:
                    exponents = fit_log_pool(scores[:, on], truth[on], weights, needs, DEVIATIONS[name])
                line.append(log_loss(truth[~on], log_pool(scores[:, ~on], exponents)))
        found[number] = losses
    return _table(found, "groups", f"{DEVIATION} (ours)")


def vector_table(aligned: Aligned) -> str:
    """Return a table of the log loss on other groups after class-wise confidences and vector scaling."""
    first = next(iter(aligned.tables.values()))
    scores = np.stack([table.floored for table in aligned.tables.values()])
    groups, truth = first.groups or first.filenames, first.truth_index
    found: dict[int, Losses] = {}
    for number in (number for number in NUMBERS if number < len(set(groups))):
        losses: Losses = {name: [] for name in SCENE_DEVIATIONS}
        for seed in range(DRAWS):
            on, weights = _drawn(groups, truth, number, seed)
            confidences = fit_classwise(scores[:, on], truth[on], weights=weights)
            fitting, others = classwise(scores[:, on], confidences), classwise(scores[:, ~on], confidences)
            for name, line in losses.items():
                scale, bias = fit_vector_scaling(fitting, truth[on], weights, SCENE_DEVIATIONS[name])
                line.append(log_loss(truth[~on], apply_vector_scaling(others, scale, bias)))
        found[number] = losses
    return _table(found, "groups", f"{SCENE_DEVIATION} (ours)")


def heads_table(embedded: Embeddings, labels: Sequence[str]) -> str:
    """Return a table of the log loss on other groups of heads trained on few groups, by the prior of the exponent."""
    truth, groups = embedded.truth(labels), np.array(embedded.groups)
    found: dict[str, Losses] = {}
    for name, embeddings in embedded.by_encoder.items():
        for n_scenes, each in HEADS:
            losses: Losses = {prior: [] for prior in ("1, not fitted", *DEVIATIONS)}
            for seed in range(HEADS_DRAWS):
                random = np.random.default_rng([n_scenes, each, seed])
                scenes = np.sort(random.choice(len(labels), n_scenes, replace=False))
                among = np.isin(truth, scenes) & ~np.isnan(embeddings[:, 0])
                scene = np.searchsorted(scenes, truth[among])
                drawn = draw_groups(groups[among].tolist(), scene, n_scenes * each, seed)
                on = np.array([group in drawn for group in groups[among]])
                for prior, loss in _head_losses(embeddings[among], scene, groups[among], on, n_scenes).items():
                    losses[prior].append(loss)
            found[f"{name}, {n_scenes} scenes, {each} groups of each"] = losses
    return _table(found, "trained on", f"{DEVIATION} (ours)")


def _head_losses(
    embeddings: FloatArray, truth: IntArray, groups: np.ndarray, on: np.ndarray, n_scenes: int
) -> Mapping[str, float]:
    """Train a head on the rows `on` and return its log loss on the others, for each prior of its exponent."""
    fitted = fit_head(embeddings[on], truth[on], groups[on].tolist(), n_scenes)
    out_of_fold = softmax(fitted.temperature * np.log(np.maximum(fitted.out_of_fold, 1e-300)))
    logits = fitted.temperature * np.log(np.maximum(fitted.head.probabilities(embeddings[~on]), 1e-300))
    weights = group_weights(groups[on].tolist())
    exponents = {name: fit_power(out_of_fold, truth[on], weights, width) for name, width in DEVIATIONS.items()}
    exponents = {"1, not fitted": 1.0} | exponents
    return {name: log_loss(truth[~on], softmax(exponent * logits)) for name, exponent in exponents.items()}


def _drawn(groups: Sequence[str], truth: IntArray, number: int, seed: int) -> tuple[np.ndarray, FloatArray]:
    """Return which rows (n,) are of the drawn groups, and the weights of those rows."""
    chosen = draw_groups(groups, truth, number, seed)
    weights = group_weights([group for group in groups if group in chosen])
    return np.array([group in chosen for group in groups]), weights


def _table(found: Mapping[int, Losses] | Mapping[str, Losses], heading: str, ours: str) -> str:
    """Format mean log losses, and after ± the standard error of their difference from ours."""
    names = list(next(iter(found.values())))
    rows = [f"| {heading} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for key, losses in found.items():
        cells = []
        for name, values in losses.items():
            error = np.std(np.subtract(values, losses[ours]), ddof=1) / np.sqrt(len(values))
            cells.append(f"{np.mean(values):.4f}" + ("" if name == ours else f" ± {error:.4f}"))
        rows.append(f"| {key} | {' | '.join(cells)} |")
    mean = [f"{np.mean([np.mean(losses[name]) for losses in found.values()]):.4f}" for name in names]
    return "\n".join([*rows, f"| mean | {' | '.join(mean)} |"])


def embed(path: Path) -> tuple[Embeddings, Sequence[str]]:
    """Return the embeddings of a data set by the encoders of recipe fast, and its scenes."""
    row, data = find("fast"), read_dataset(path)
    assert isinstance(row, HeadsSystem)
    runtime = Runtime(torch.device("cpu"), torch.float32)
    encoders = {name: encoder_of(head, runtime) for name, head in row.heads.items()}
    return embed_dataset(data, encoders, sampling_of(1.0, encoders)), data.labels.names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", nargs="+", action="append", default=[], metavar=("TITLE", "TABLE.tsv"))
    parser.add_argument("--heads", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("few_groups.md"))
    options = parser.parse_args()
    text = f"""# Exponents and biases from few groups

Made by `python -m benchmarks.few_groups`. As many groups as the first column states are drawn {DRAWS} times
({HEADS_DRAWS} times for heads), evenly over the scenes; parameters are fitted on them and evaluated on all others. The
other columns are log losses by prior: its standard deviation (`avscene.fusion.prior`), none, or, for exponents
"{TOWARDS_0}", {PENALTY} log losses of a group per unit. After ± is the standard error of the difference from ours.
"""
    for title, *paths in options.of:
        aligned = align({Path(path).stem: read_table(path) for path in paths})
        first = next(iter(aligned.tables.values()))
        extent = f"{len(first):,} rows of {len(set(first.groups or ())):,} groups; systems {', '.join(aligned.tables)}."
        text += f"\n## {title}\n\n{extent}\n\nExponents of the log-linear pool:\n\n{pool_table(aligned)}\n"
        text += f"\nVector scaling after class-wise confidences:\n\n{vector_table(aligned)}\n"
    if options.heads is not None:
        title = f"Temperature of the heads of recipe fast, on {options.heads.name}"
        text += f"\n## {title}\n\n{heads_table(*embed(options.heads))}\n"
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
