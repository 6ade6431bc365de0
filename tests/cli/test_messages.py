"""Test that clumsy command lines get the messages in golden/messages.txt: what is wrong, where, and what to do."""

import re

import pytest

from tests.support.clumsy_inputs import MESSAGES, answers, as_text, command_lines

LONGEST = 300  # characters of a message


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The part of the golden file of each command line, as it is now."""
    return {answer[0]: as_text(*answer) for answer in answers(tmp_path_factory.mktemp("clumsy"))}


@pytest.mark.parametrize("line", command_lines())
def test_the_message_is_the_recorded_one(parts: dict[str, str], line: str) -> None:
    recorded = re.split(r"^(?=\$ )", MESSAGES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (expected,) = (part for part in recorded if part.startswith(f"$ {line}\n"))
    assert parts[line].strip() == expected.strip()


def test_there_are_forty_of_them_and_none_is_a_traceback() -> None:
    lines = [line for line in MESSAGES.read_text(encoding="utf-8").splitlines() if line]
    assert len(command_lines()) >= 40
    messages = [line for line in lines if not line.startswith(("$ ", "exit code "))]
    assert all(len(message) <= LONGEST and "Traceback" not in message for message in messages)
    assert {line for line in lines if line.startswith("exit code ")} <= {"exit code 1", "exit code 2"}
