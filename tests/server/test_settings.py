"""Test which settings of the server are refused, and which names it answers to."""

from typing import Any

import pytest

from avscene.errors import UsageError
from avscene.server.settings import ServerSettings

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"host": "0.0.0.0"}, "a token is needed; try: AVSCENE_TOKEN="),
        ({"host": "::"}, "a token is needed"),
        ({"host": "192.168.1.5"}, "a token is needed"),
        ({"host": "scenes.example.org"}, "a token is needed"),
        ({"token": "short"}, "at least 16"),
        ({"token": "0123456789abcde "}, "without spaces"),
        ({"token": ""}, "at least 16"),
        ({"port": 65536}, "--port 65536"),
        ({"port": -1}, "--port -1"),
        ({"max_upload": 0}, "--max-upload 0"),
        ({"max_duration": float("nan")}, "--max-duration nan"),
        ({"keep": -1.0}, "--keep -1"),
        ({"max_queue": 0}, "--max-queue 0"),
        ({"workers": 0}, "--workers 0"),
        *(
            ({"allowed_origins": (origin,)}, "is not an origin; try: --allow-origin https://example.org")
            for origin in (
                "example.org",
                "https://example.org/",
                "https://example.org/path",
                "ftp://example.org",
                "https://",
                "https://user@example.org",
                "https://example.org:port",
                "*",
                "null",
            )
        ),
    ],
)
def test_a_wrong_setting_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        ServerSettings(**fields)
    assert message in str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_token(host: str) -> None:
    assert ServerSettings(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "scenes.example.org"])
def test_other_addresses_take_a_token(host: str) -> None:
    assert not ServerSettings(host=host, token=TOKEN).is_loopback


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(ServerSettings(token=TOKEN))


def test_names_of_the_server() -> None:
    local = {"localhost", "127.0.0.1", "::1"}
    assert ServerSettings().hosts == local
    assert ServerSettings(allowed_origins=("https://example.org:8443",)).hosts == {*local, "example.org"}
    assert ServerSettings(host="Scenes.example.org", token=TOKEN).hosts == {*local, "scenes.example.org"}
    assert ServerSettings(host="0.0.0.0", token=TOKEN).hosts is None


def test_the_longest_recording_is_a_limit_of_decoding() -> None:
    assert ServerSettings(max_duration=1800).limits.hours == 0.5


@pytest.mark.parametrize(("longest", "expected"), [(12, 24), (4, 8), (0.1, 1)])
def test_a_job_may_take_longer_than_the_longest_recording(longest: float, expected: float) -> None:
    assert ServerSettings(max_duration=longest * 3600).max_job_seconds == expected * 3600
