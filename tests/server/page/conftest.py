"""One browser for all tests of the page, closed before other tests run their own event loops."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium of the system; skips without it."""
    with chromium() as started:
        yield started
