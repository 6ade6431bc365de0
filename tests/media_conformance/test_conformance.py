"""Test that every file of the corpus is read right in exact and keyframes mode, with any number of decoder threads."""

import pytest

from tests.media_conformance.case import Case
from tests.media_conformance.corpus import CASES, Corpus, Outcome

FAST = [case for case in CASES if case.fast]
OTHERS = [case for case in CASES if not case.fast]


def _parameters(cases: list[Case]) -> list[object]:
    return [
        pytest.param(
            case,
            id=case.name,
            marks=[pytest.mark.xfail(reason=case.why_wrong)] if case.why_wrong else [],
        )
        for case in cases
    ]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The files, made once."""
    return Corpus(tmp_path_factory.mktemp("conformance") / "corpus")


def _check(outcomes: list[Outcome]) -> None:
    if outcomes and all(outcome.skipped for outcome in outcomes):
        pytest.skip(str(outcomes[0].skipped))
    assert not [f"{outcome.case}, {outcome.way}: {'; '.join(outcome.wrong)}" for outcome in outcomes if outcome.wrong]


def test_names_of_cases_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", _parameters(FAST))
def test_common_files_are_read_right(corpus: Corpus, case: Case) -> None:
    _check(list(corpus.in_python(case, threads=(1, 16))))


@pytest.mark.slow
@pytest.mark.parametrize("case", _parameters(OTHERS))
def test_all_other_files_are_read_right(corpus: Corpus, case: Case) -> None:
    _check(list(corpus.in_python(case)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_commands_read_all_files_right(corpus: Corpus) -> None:
    known = {case.name for case in CASES if case.why_wrong}
    _check([outcome for outcome in corpus.by_command(CASES) if outcome.case not in known])
