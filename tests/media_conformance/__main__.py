"""Print a table of all files of the corpus: how each was read, and whether that was right.

Arguments are parts of names; without any, all files are read, also by `classify` and `prepare`.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.media_conformance.corpus import CASES, Corpus, Outcome


def _line(outcome: Outcome) -> str:
    result = f"skipped: {outcome.skipped}" if outcome.skipped else "; ".join(outcome.wrong) or "right"
    return f"{outcome.case:32} {outcome.way:22} {'wrong: ' * bool(outcome.wrong)}{result}"


def main(parts: list[str]) -> int:
    """Print the table; return 1 if anything is wrong."""
    cases = [case for case in CASES if not parts or any(part in case.name for part in parts)]
    outcomes: list[Outcome] = []
    with TemporaryDirectory(prefix="avscene-conformance-") as folder:
        corpus = Corpus(Path(folder))
        for case in cases:
            for outcome in corpus.in_python(case):
                outcomes.append(outcome)
                print(_line(outcome), flush=True)
        for outcome in () if parts else corpus.by_command(cases):
            outcomes.append(outcome)
            print(_line(outcome), flush=True)
    wrong = {outcome.case for outcome in outcomes if outcome.wrong}
    skipped = {outcome.case for outcome in outcomes if outcome.skipped}
    print(f"{len(cases)} files: {len(cases) - len(wrong | skipped)} right, {len(wrong)} wrong, {len(skipped)} skipped")
    print("wrong:", *sorted(wrong)) if wrong else None
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
