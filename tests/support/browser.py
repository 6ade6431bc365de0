"""Drive Chromium: find it, open pages that record what must not happen, check accessibility with axe."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NO_CHROMIUM = "no Chromium; try: apt-get install chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
HERE = {"127.0.0.1", "localhost", None}  # None: data: and blob: URLs
WIDE, NARROW = (1280, 800), (390, 844)  # width and height of a laptop's window and of a phone, CSS pixels
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, Theme] = ("light", "dark")
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
DEADLINE = 60_000  # milliseconds that a page may take for what a test waits for


def find_chromium() -> str | None:
    """Return the path of the system's Chromium, None if there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium; skip the test if there is none.

    Playwright's event loop runs in this thread until the end: no `asyncio.run` in between.
    """
    program = find_chromium()
    if program is None:
        pytest.skip(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Observed:
    """Errors of a context's pages, and their requests to other machines; `allowed` are parts of expected errors."""

    problems: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Record from now on what happens in `context`."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"uncaught: {error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in HERE:
            self.problems.append(f"request to another machine: {request.url}")

    def check(self) -> None:
        """Fail if there was an error that is not allowed or a request to another machine."""
        found = [problem for problem in self.problems if not any(part in problem for part in self.allowed)]
        assert not found, "\n".join(found)


@contextmanager
def open_page(
    browser: Browser, size: tuple[int, int] = WIDE, theme: Theme = "light", **options: Any
) -> Iterator[tuple[Page, Observed]]:
    """Open an empty page in a context of its own; fail at the end if it had errors or used another machine.

    `options` are those of Playwright's `new_context`.
    """
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, **options)
    context.set_default_timeout(DEADLINE)
    observed = Observed()
    observed.watch(context)
    try:
        yield context.new_page(), observed
        observed.check()
    finally:
        context.close()


def axe_violations(page: Page) -> list[str]:
    """Return violations of WCAG 2.2 A and AA as axe finds them, a line per element."""
    results = Axe().run(
        page, options={"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"], "preload": False}
    )
    return [
        f"{violation['id']}: {json.dumps(node['target'])}: {_messages(node)}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


def _messages(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])


def check_accessible(page: Page) -> None:
    """Fail if axe finds a violation in the light or in the dark scheme; the light one is left."""
    for theme in reversed(THEMES):
        page.emulate_media(color_scheme=theme)
        violations = axe_violations(page)
        assert not violations, f"{theme}, {page.viewport_size}:\n" + "\n".join(violations)
