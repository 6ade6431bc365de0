"""Our HTML pages as a browser would see them."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, the texts of some, and the figures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.figures: list[dict] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> does not close the last element"

    def handle_data(self, data):
        tag = self._open[-1] if self._open else ""
        self.texts.setdefault(tag, []).append(data)
        if tag == "script" and self.elements[-1][1].get("type") == "application/json":
            self.figures.append(json.loads(data))

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]
