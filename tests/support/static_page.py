"""Open files of the server's page in Chromium without a server: requests are answered from the package."""

import json
import mimetypes
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route

ADDRESS = "http://127.0.0.1:9/"  # nothing listens there
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
EMPTY = (
    "<!doctype html><html lang=en><head><title>Result</title><meta name=viewport content='width=device-width'>"
    "<link rel=stylesheet href=page/style.css><script src=page/js/theme.js></script></head>"
    "<body><main id=main><h1>Result</h1><div id=view></div></main>"
    "<p class=hidden id=announcements role=status></p></body></html>"
)
CALL = "async ([module, name, values]) => (await import(module))[name](...values)"
SHOW = """async (options) => {
  const { showViewer } = await import("/page/js/viewer/view.js");
  window.viewer = showViewer(document.getElementById("view"), options);
}"""


def open_static(page: Page, others: dict[str, tuple[str, bytes]] | None = None) -> None:
    """Show an empty page of the server's origin, under its policy; `others` are answers: path -> type and content."""
    serve_static(page, others)
    page.goto(ADDRESS)


def serve_static(page: Page, others: dict[str, tuple[str, bytes]] | None = None) -> None:
    """Answer requests of `page` from the files of the package; `others` are answers too: path -> type and content."""
    root = Path(str(files("avscene.server"))) / "page"

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ADDRESS).split("?")[0]
        headers = {"Content-Security-Policy": POLICY}
        if others and path in others:
            kind, body = others[path]
            route.fulfill(body=body, content_type=kind, headers=headers)
        elif path.startswith("page/"):
            file = root / path.removeprefix("page/")
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            route.fulfill(body=file.read_bytes(), content_type=kind, headers=headers)
        else:
            route.fulfill(body=EMPTY, content_type="text/html", headers=headers)

    page.route("**/*", answer)


def call(page: Page, module: str, name: str, *values: Any) -> Any:
    """Return what a function of a module of the page returns for values that JSON can hold."""
    return page.evaluate(CALL, [f"/page/js/{module}", name, list(values)])


def show_result(page: Page, prediction: dict[str, Any], **options: Any) -> None:
    """Show a prediction in the viewer, with `options` of `showViewer`."""
    given = {"name": "a.mp4", "prediction": prediction, "mediaUrl": None, "previewUrl": None, "thumbnailsUrl": None}
    page.evaluate(SHOW, json.loads(json.dumps(given | options)))
