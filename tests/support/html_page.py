"""Parse the HTML pages of the project for tests."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """A parsed page: `elements` with attributes, `texts` by tag, and the `figures` for Plotly.

    Raises:
        AssertionError: the elements are not properly nested.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.figures: list[dict] = []
        self.texts: dict[str, list[str]] = {}
        self._open_tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "input"):
            self._open_tags.append(tag)

    def handle_endtag(self, tag):
        assert self._open_tags.pop() == tag, f"</{tag}> does not close the last element"

    def handle_data(self, data):
        tag = self._open_tags[-1] if self._open_tags else ""
        self.texts.setdefault(tag, []).append(data)
        if tag == "script" and self.elements[-1][1].get("type") == "application/json":
            self.figures.append(json.loads(data))

    def attributes(self, tag: str) -> list[dict]:
        """Return the attributes of every element with this tag."""
        return [attributes for name, attributes in self.elements if name == tag]
