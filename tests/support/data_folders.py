"""Make data sets of empty files: reading a data set opens no media."""

from pathlib import Path

from avscene.records import Example


def touch(root: Path, *names: str) -> None:
    """Make empty files of these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def summary(examples: tuple[Example, ...]) -> list[tuple[str, str, str]]:
    """Return name, label and group of each recording."""
    return [(example.name, example.label, example.group) for example in examples]
