"""What tests of the page rely on: Chromium opens pages, and errors, foreign requests and violations are found."""

import pytest
from playwright.sync_api import Browser, Page

from tests.support import browser as support
from tests.support.browser import NARROW, axe_violations, check_accessible, open_page

GOOD = "<html lang=en><title>A page</title><main><h1>A page</h1><label>Name <input></label></main></html>"
BAD = "<html lang=en><title>A page</title><main><h1 style='color:#ccc;background:#fff'>A page</h1><input></main></html>"
POLICY = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"


def _open(page: Page, html: str, policy: str = POLICY) -> None:
    page.goto("data:text/html," + (policy + html).replace("#", "%23"))


def test_accessible_page_without_errors(browser: Browser) -> None:
    with open_page(browser, NARROW, "dark") as (page, _):
        _open(page, GOOD)
        assert page.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [390, True]
        check_accessible(page)


def test_violations_are_found(browser: Browser) -> None:
    with open_page(browser) as (page, _):
        _open(page, BAD)
        assert [line.split(":")[0] for line in axe_violations(page)] == ["color-contrast", "label"]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("console.error('it failed')", "error: it failed"),
        ("setTimeout(() => { throw new Error('unexpected') })", "uncaught: unexpected"),
        ("document.body.append(Object.assign(new Image(), {src: 'http://avscene.example/a.png'}))", "avscene.example"),
    ],
)
def test_problems_fail_the_test(browser: Browser, script: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        _run(browser, script)


def _run(browser: Browser, script: str) -> None:
    with open_page(browser) as (page, observed):
        _open(page, GOOD, policy="")
        page.evaluate(f"() => {{ {script} }}")
        while not observed.problems:
            page.wait_for_timeout(10)


def test_skips_without_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "PROGRAMS", ("no-browser",))
    with pytest.raises(pytest.skip.Exception, match="try: apt-get install chromium"), support.chromium():
        pass
