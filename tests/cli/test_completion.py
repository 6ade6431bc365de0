"""Test that a shell completes commands, options and values, quickly: without torch."""

import os
import subprocess
import sys

import pytest

from avscene.cli.output.results import FORMATS
from avscene.fusion.rules import RULES
from avscene.models.registry import systems

# As the script of bash that `avscene --show-completion` prints; whether torch was imported goes to standard error.
PROGRAM = """
import sys
from avscene.cli.main import main
try:
    main()
finally:
    print(*sorted({"torch", "av", "lance"} & set(sys.modules)), file=sys.stderr)
"""


def completed(*words: str) -> list[str]:
    """Return what bash offers for the last of the words."""
    environment = os.environ | {
        "_AVSCENE_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["avscene", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stderr.split() == []
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("cl",), ["classify"]),
        (("classify", "film.mp4", "--system", ""), [name for name, row in systems().items() if not row.trained]),
        (("train", "fa"), ["fast"]),
        (("classify", "film.mp4", "--format", ""), list(FORMATS)),
        (("fuse", "a.tsv", "--rule", "c"), [rule for rule in RULES if rule.startswith("c")]),
        (("embed", "store", "--encoder", "openl3-"), ["openl3-audio", "openl3-image"]),
        (("classify", "--overw"), ["--overwrite"]),
    ],
)
def test_a_word_is_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert completed(*words) == expected


def test_the_script_for_a_shell_is_printed() -> None:
    environment = os.environ | {"_AVSCENE_COMPLETE": "source_zsh"}
    done = subprocess.run(
        [sys.executable, "-m", "avscene"], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert "#compdef avscene" in done.stdout
