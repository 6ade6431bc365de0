"""Named systems made on one segment store, each step once: what is there already is found and used again.

Under its directory: `training/NAME` what an unfinished training needs to go on, `systems/NAME` checkpoints,
`scores/NAME` probabilities of the rows that are not trained on. Each appears complete or not at all, so that a run that
was killed at any moment goes on where it was and ends with the same results.
"""

import json
import platform
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.evaluation.metrics import compute_metrics
from avscene.files import write_bytes, write_text
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion, Layout, fit_fusion
from avscene.mismatch.detector import MismatchDetector
from avscene.models import SceneModel, zero_shot
from avscene.models.checkpoint import Config, load_checkpoint, read_config, save_checkpoint
from avscene.models.device import Runtime
from avscene.models.ensemble_checkpoint import member_checksums, save_ensemble
from avscene.models.registry import BACKBONES_ALIASES, EnsembleSystem, NetworkSystem, find, leaves
from avscene.progress import StageProgress
from avscene.records import Backbones, FloatArray, IntArray
from avscene.tables.score_table import ScoreTable
from avscene.training.card import model_card
from avscene.training.fine_tuning.finetune import REFITTED
from avscene.training.fine_tuning.processes import Processes
from avscene.training.mismatch import fit_mismatch
from avscene.training.recipes import TrainingContext, train_model
from avscene.training.rows import rows_key
from avscene.training.scoring import score_rows
from avscene.training.split import Split

FORMAT = "avscene-workshop/1"
KEY = "workshop.json"
VALIDATION_TABLE = "validation.tsv"  # in a checkpoint: what it said of the rows that it was chosen and fitted on


class ExperimentRunner:
    """Makes systems of the table, by their names, from the rows of `store` that `split` gives each purpose.

    Raises:
        DataError: `directory` holds what was made from other rows or other networks.
    """

    def __init__(
        self,
        directory: Path,
        store: SegmentStore,
        holdout: str | None,
        *,
        backbones: Backbones,
        runtime: Runtime,
        watch: StageProgress,
    ) -> None:
        self.directory = directory
        self.store = store
        self.holdout = holdout
        self.split = Split.of(store, holdout)
        self.backbones: Backbones = backbones
        self.labels = store.labels
        self._runtime = runtime
        self._watch = watch
        self._truth = store.truth(self.labels.names)
        self._processes = Processes.join(runtime)
        self._fusions: dict[str, Fusion] = {}
        if self._processes.is_first:
            self._claim()

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes, of those that train together."""
        return self._processes.is_first

    def checkpoint(self, name: str) -> Path:
        """The checkpoint of trained system `name`, made if it is not there.

        Raises:
            AvsceneError: it cannot be made; a WeightsError says which weights it lacks.
        """
        directory = self.directory / "systems" / name
        row = find(name)
        if not isinstance(row, EnsembleSystem):
            self._once(directory, lambda: self._train(name, directory), together=isinstance(row, NetworkSystem))
        else:
            members = {member: self.checkpoint(member) for member in row.members}
            scores = self.scores(name)
            self._once(directory, lambda: self._assemble(name, directory, members, scores))
        return directory

    def scores(self, name: str) -> FloatArray:
        """Probabilities (n_rows, n_scenes) for every row of the store; NaN where it is trained on or was not scored.

        Raises:
            AvsceneError: the system cannot be made.
        """
        if isinstance(find(name), EnsembleSystem):
            return self.fusion(name).apply(self._leaf_scores(name), self.labels, self._times())
        if find(name).trained:
            self.checkpoint(name)
        path = self._scores_path(name)
        self._once(path, lambda: self._score(name, path))
        return load_file(path)["scores"]

    def fusion(self, name: str) -> Fusion:
        """The fusion of ensemble `name` over all its models, fitted on the validation rows."""
        if name not in self._fusions:
            rows = self.split.validation
            scores = {leaf: values[rows] for leaf, values in self._leaf_scores(name).items()}
            groups = [self.store.examples[row].group for row in rows]
            self._fusions[name] = fit_fusion(
                layout_of(name), scores, self._truth[rows], self.labels, self._times(rows), groups=groups
            )
        return self._fusions[name]

    def table(self, name: str, rows: IntArray) -> ScoreTable:
        """What the system says of these rows, those left out that it could not score.

        Raises:
            DataError: it could score none of them.
        """
        return self._table(name, rows, self.scores(name))

    def _table(self, name: str, rows: IntArray, scores: FloatArray) -> ScoreTable:
        kept = rows[~np.isnan(scores[rows, 0])]
        if not len(kept):
            raise DataError(f"{self.store.directory}: system {name} could score none of {len(rows)} segments")
        examples = [self.store.examples[row] for row in kept]
        return ScoreTable(
            self.labels,
            tuple(example.name for example in examples),
            scores[kept],
            starts=self.store.starts[kept],
            groups=tuple(example.group for example in examples),
            truth=tuple(example.label for example in examples),
            source=name,
            modality=find(name).needs,
        )

    def _once(self, path: Path, make: Callable[[], object], *, together: bool = False) -> None:
        """Make `path` unless it is there: by the first process, or by all `together`. All wait until it is there."""
        if self._processes.share_bytes(b"there" if path.exists() else b"absent") == b"there":
            return
        if together or self._processes.is_first:
            make()
        self._processes.share_bytes(b"made")

    def _train(self, name: str, directory: Path) -> None:
        state = self.directory / "training" / name
        bench = TrainingContext(self.store, self.split, self.labels, self.backbones, state, self._runtime, self._watch)
        trained = train_model(name, bench)
        if not self._processes.is_first:
            return
        model = trained.part.build(self.labels, trained.tensors, self._runtime)
        apart = model if trained.apart is None else trained.part.build(self.labels, trained.apart, self._runtime)
        table = self._table(name, self.split.validation, self._write_scores(name, model, apart))
        config = Config(
            **self._about(name),
            models=(trained.part,),
            fusion=Fusion.of(trained.part.name),
            training={**self._provenance(), **trained.figures, "history": trained.history},
            metrics={"validation": compute_metrics(table).to_dict()},
        )
        tensors = {trained.part.name: trained.tensors}
        save_checkpoint(directory, config, tensors, model_card(config), {VALIDATION_TABLE: table})
        shutil.rmtree(state, ignore_errors=True)

    def _assemble(self, name: str, directory: Path, members: Mapping[str, Path], scores: FloatArray) -> None:
        table = self._table(name, self.split.validation, scores)
        config = Config(
            **self._about(name),
            members=member_checksums(members),
            fusion=self._top(name),
            mismatch=self._mismatch(name),
            training=self._provenance(),
            metrics={"validation": compute_metrics(table).to_dict()},
        )
        save_ensemble(directory, config, members, model_card(config), {VALIDATION_TABLE: table})

    def _mismatch(self, name: str) -> MismatchDetector | None:
        rows = self.split.validation
        scores = {leaf: values[rows] for leaf, values in self._leaf_scores(name).items()}
        examples = [self.store.examples[row] for row in rows]
        needs = {leaf: find(leaf).needs for leaf in scores}
        return fit_mismatch(self.labels, scores, needs, examples, self.store.starts[rows], self._truth[rows])

    def _score(self, name: str, path: Path) -> None:
        if find(name).trained and REFITTED in read_config(self.checkpoint(name)).training:
            raise DataError(
                f"{path}: is missing, and {name} has learnt from its validation rows since; remove "
                f"{self.checkpoint(name)} too, to train it again"
            )
        model = self._model(name)
        self._write_scores(name, model, model)

    def _write_scores(self, name: str, model: SceneModel, apart: SceneModel) -> FloatArray:
        """What `model` says of the test rows, and `apart`, which was not trained on them, of the validation rows."""
        scores = np.full((len(self.store), len(self.labels)), np.nan)
        store = SegmentStore.open(self.store.directory)  # which may have been given embeddings since
        for scorer, rows in ((apart, self.split.validation), (model, self.split.test)):
            if len(rows):
                scores[rows] = score_rows(scorer, store, rows, self._watch(f"{name}: scoring"))
        write_bytes(self._scores_path(name), save({"scores": scores}))
        return scores

    def _scores_path(self, name: str) -> Path:
        return self.directory / "scores" / f"{name}.safetensors"

    def _top(self, name: str) -> Fusion:
        """The fusion of an ensemble over its own members, whose own fusions stay with them."""
        fitted = self.fusion(name)
        names = tuple(member if isinstance(member, str) else member.name for member in fitted.members)
        return fitted.model_copy(update={"members": names})

    def _model(self, name: str) -> SceneModel:
        if not find(name).trained:
            return zero_shot.build(name, self.labels, (), self._runtime)
        (model,) = load_checkpoint(self.checkpoint(name), self._runtime).models
        return model

    def _leaf_scores(self, name: str) -> dict[str, FloatArray]:
        return {leaf: self.scores(leaf) for leaf in leaves(name)}

    def _times(self, rows: IntArray | None = None) -> Times:
        rows = np.arange(len(self.store)) if rows is None else rows
        return Times([self.store.examples[row].name for row in rows], self.store.starts[rows])

    @property
    def versions(self) -> dict[str, str]:
        """Of what the results depend on."""
        packages = ("avscene", "torch", "timm", "av")
        return {package: version(package) for package in packages} | {"python": platform.python_version()}

    def _about(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "recipe": name,
            "labels": self.labels.names,
            "hop": self.store.spec.hop,
            "versions": self.versions,
        }

    def _provenance(self) -> dict[str, Any]:
        def groups(rows: IntArray) -> int:
            return len({self.store.examples[row].group for row in rows})

        return {
            "data": self.store.made_of,
            "held_out": self.holdout,
            "backbones": self.backbones,
            "segments": {"train": len(self.split.train), "validation": len(self.split.validation)},
            "groups": {"train": groups(self.split.train), "validation": groups(self.split.validation)},
            "date": datetime.now(UTC).date().isoformat(),
        }

    def _claim(self) -> None:
        """Mark the directory as made from these rows with these networks, or see that it is."""
        path = self.directory / KEY
        ours = {
            "format": FORMAT,
            "rows": rows_key(self.store),
            "holdout": self.holdout,
            "backbones": self.backbones,
            "avscene": version("avscene"),
        }
        if not path.is_file():
            write_text(path, json.dumps(ours, indent=2) + "\n")
            return
        theirs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        theirs["backbones"] = BACKBONES_ALIASES.get(theirs.get("backbones", ""), theirs.get("backbones"))
        if differs := sorted(key for key in ours if theirs.get(key) != ours[key]):
            raise DataError(
                f"{self.directory}: holds results of another run ({', '.join(differs)} differ); name another --output, "
                "or remove it"
            )


def layout_of(name: str) -> Layout:
    """What ensemble `name` fuses, down to single models."""
    row = find(name)
    assert isinstance(row, EnsembleSystem)
    members = tuple(layout_of(member) if isinstance(find(member), EnsembleSystem) else member for member in row.members)
    steps = () if row.postprocess is None else (row.postprocess,)
    needs = {member: find(member).needs for member in row.members}
    return Layout(name=name, members=members, rule=row.rule, needs=needs, postprocess=steps)
