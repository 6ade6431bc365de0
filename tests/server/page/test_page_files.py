"""What the files of the page hold: no inline code, no markup from data, colors with contrast, few bytes at first."""

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import avscene.server

PAGE = Path(avscene.server.__file__).parent / "page"
SCRIPTS = sorted(PAGE.glob("js/**/*.js"))
FIRST_PAINT = 200_000  # bytes
SCHEMES = (":root", ':root[data-theme="dark"]')


class Markup(HTMLParser):
    """The elements of an HTML file: (tag, attributes)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", ["index.html", "signin.html"])
def test_markup_has_no_inline_code_and_only_own_files(name: str) -> None:
    for tag, attributes in Markup(PAGE / name).elements:
        assert tag != "style"
        assert "style" not in attributes
        assert not [attribute for attribute in attributes if attribute.startswith("on")]
        assert tag != "script" or attributes.get("src")
        for address in filter(None, (attributes.get("src"), attributes.get("href"))):
            assert not urlsplit(address).netloc
            assert not address.startswith("page/") or (PAGE / address.removeprefix("page/")).is_file()


def test_sign_in_needs_open_files_only() -> None:
    found = {attributes.get("src") or attributes.get("href") for _, attributes in Markup(PAGE / "signin.html").elements}
    assert found - {None} == {"page/signin.css", "page/signin.js", "page/signin.svg"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_make_no_markup_from_texts(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|cssText", text)
    assert not re.search(r"""["']https?://(?!www\.w3\.org/)""", text)  # the name of a namespace is no request
    assert text.count("\n") <= 300
    assert text.startswith("//")  # a sentence on what it does


def test_first_paint_is_light_and_all_modules_are_asked_for_at_once() -> None:
    files = {
        Path(str(attributes.get("src") or attributes.get("href")).removeprefix("page/"))
        for tag, attributes in Markup(PAGE / "index.html").elements
        if tag in ("script", "link")
    }
    modules = {path.relative_to(PAGE) for path in PAGE.glob("js/*.js")}
    assert modules <= files
    assert sum((PAGE / path).stat().st_size for path in {*files, Path("index.html")}) < FIRST_PAINT


def luminance(color: str) -> float:
    """Return the relative luminance of `#rrggbb`, as WCAG 2 defines it."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colors_have_contrast(scheme: str) -> None:
    block = re.search(rf"^{re.escape(scheme)} {{(.*?)^}}", (PAGE / "style.css").read_text("utf-8"), re.S | re.M)
    assert block is not None
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block[1]))
    for text, ground in product(["ink", "muted", "accent", "danger", "warning"], ["ground", "surface"]):
        assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    pairs = [("on-accent", "accent"), ("on-danger", "danger"), ("warning", "warning-faint"), ("accent", "accent-faint")]
    for text, ground in [*pairs, ("muted", "accent-faint"), ("ink", "accent-faint")]:
        assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    for shape, ground in product(["edge", *(f"c{i}" for i in range(10))], ["ground", "surface"]):
        assert contrast(colors[shape], colors[ground]) >= 3, (shape, ground)


def test_sign_in_has_the_colors_of_the_page() -> None:
    """The sign-in page cannot use style.css, which is not open without the token."""
    texts = [(PAGE / name).read_text("utf-8") for name in ("style.css", "signin.css")]
    page, sign_in = (set(re.findall(r"--[\w-]+: #[0-9a-f]{6}", text)) for text in texts)
    assert sign_in <= page
