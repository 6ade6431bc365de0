"""Make the files of the corpus, each once, and read them in every way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.media_conformance.case import Case, MissingEncoderError
from tests.media_conformance.checking import deviations
from tests.media_conformance.reading import classify, digest, prepare, read_in_worker, read_with_threads
from tests.media_conformance.recipes import damage, images, joined, ordinary, picture, sound, timestamps

CASES: tuple[Case, ...] = tuple(
    case for module in (ordinary, timestamps, joined, picture, images, sound, damage) for case in module.CASES
)
THREADS = (1, 2, 16)
MODES = ("exact", "keyframes")


@dataclass(frozen=True)
class Outcome:
    """What one way of reading a file found: `wrong` is empty if all is right; `skipped` is the reason why not read."""

    case: str
    way: str
    wrong: tuple[str, ...] = ()
    skipped: str | None = None


@dataclass
class Corpus:
    """The files of cases below `folder`, made when they are first needed."""

    folder: Path
    _made: dict[str, Path | str] = field(default_factory=dict)

    def path(self, case: Case) -> Path | str:
        """Return the file of a case, or the reason why it cannot be made."""
        if case.name not in self._made:
            where = self.folder / case.name
            where.mkdir(parents=True)
            try:
                self._made[case.name] = case.recipe(where)
            except MissingEncoderError as error:
                self._made[case.name] = str(error)
        return self._made[case.name]

    def in_python(self, case: Case, threads: Iterable[int] = THREADS) -> Iterator[Outcome]:
        """Read the file of a case in both modes: in a worker process, and here with each number of threads."""
        path = self.path(case)
        for mode in MODES:
            if isinstance(path, str):
                yield Outcome(case.name, mode, skipped=path)
                continue
            keyframes = mode == "keyframes"
            in_worker = read_in_worker(path, keyframes)
            yield Outcome(case.name, mode, tuple(deviations(in_worker, case.expected, keyframes)))
            for number in threads:
                reading = read_with_threads(path, keyframes, number)
                wrong = deviations(reading, case.expected, keyframes)
                wrong += ["differs from the worker's"] if digest(reading) != digest(in_worker) else []
                yield Outcome(case.name, f"{mode}, {number} thread{'s' * (number > 1)}", tuple(wrong))

    def by_command(self, cases: Iterable[Case]) -> Iterator[Outcome]:
        """Read the files of all cases with `classify` in both modes and with `prepare`, each in one command."""
        made = {case.name: (case, path) for case in cases if isinstance(path := self.path(case), Path)}
        paths = {name: path for name, (_, path) in made.items()}
        expected = {name: case.expected for name, (case, _) in made.items()}
        ways = {f"classify, {mode}": partial(classify, keyframes=mode == "keyframes") for mode in MODES}
        for way, read in {**ways, "prepare": partial(prepare, folder=self.folder)}.items():
            for name, wrong in read(paths, expected).items():
                yield Outcome(name, way, tuple(wrong))
