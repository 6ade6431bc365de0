"""Test the recognition of URLs and that nothing secret in them is shown."""

from pathlib import Path

import pytest

from avscene.inference import Source
from avscene.inference.journal.content import key_of
from avscene.storage.urls import is_remote, local_path, name_of, shown

AMAZON = (
    "https://b.s3.amazonaws.com/a.mp4?versionId=7&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F2026"
    "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Security-Token=t0k&X-Amz-SignedHeaders=host&X-Amz-Signature=51"
)
GOOGLE = "https://storage.googleapis.com/b/a.mp4?X-Goog-Credential=me%40x&X-Goog-Expires=9&X-Goog-Signature=ab"
AZURE = "https://x.blob.core.windows.net/c/a.mp4?sv=2024-01-01&st=2026&se=2027&sr=b&sp=r&sip=10.0.0.1&sig=abc%3D"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket/a b#c?d.mp4", "s3://bucket/a b#c?d.mp4"),
        ("s3://user:pass@bucket/a.mp4", "s3://bucket/a.mp4"),
        ("az://container@account/a@b:c.mp4", "az://container@account/a@b:c.mp4"),
        ("https://user:pass@host:8443/a.mp4", "https://host:8443/a.mp4"),
        ("https://host/a.mp4?id=5&se=1", "https://host/a.mp4?id=5&se=1"),
        ("https://host/a.mp4?id=5&access_token=abc#t=3", "https://host/a.mp4?id=5"),
        ("https://host/a.mp4?api_key=abc", "https://host/a.mp4"),
        (AMAZON, "https://b.s3.amazonaws.com/a.mp4?versionId=7"),
        (GOOGLE, "https://storage.googleapis.com/b/a.mp4"),
        (AZURE, "https://x.blob.core.windows.net/c/a.mp4"),
        ("folder/a.mp4", "folder/a.mp4"),
    ],
)
def test_secrets_are_not_shown(url: str, expected: str) -> None:
    assert shown(url) == expected
    assert shown(expected) == expected


def test_a_journal_finds_an_object_whatever_its_signature() -> None:
    assert key_of(Source(AMAZON)) == b"https://b.s3.amazonaws.com/a.mp4?versionId=7"


@pytest.mark.parametrize("url", ["s3://b/a", "gs://b/a", "az://c/a", "http://h/a", "HTTPS://h/a"])
def test_recognises_urls(url: str) -> None:
    assert is_remote(url)
    assert Source(url).path == url


@pytest.mark.parametrize("location", ["a.mp4", "s3:/b/a", "ftp://h/a", "/s3://b", Path("s3://b/a"), "file:///a"])
def test_other_locations_are_paths(location: str | Path) -> None:
    assert not is_remote(location)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:///tmp/a%20b.mp4", "/tmp/a b.mp4"),
        ("file://localhost/tmp/a#b?c.mp4", "/tmp/a#b?c.mp4"),
        ("file://host/a.mp4", "file://host/a.mp4"),
        ("/tmp/a%20b.mp4", "/tmp/a%20b.mp4"),
    ],
)
def test_file_urls_are_paths(url: str, expected: str) -> None:
    assert local_path(url) == expected
    assert Source("x.mp4", url).audio == expected


def test_name_is_the_last_part_of_the_path() -> None:
    assert name_of("https://host/folder/a.mp4?x=/b.txt") == "a.mp4"
    assert name_of("s3://bucket/folder/a?b.mp4") == "a?b.mp4"
