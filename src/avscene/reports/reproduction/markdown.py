"""A reproduction to Markdown, as GitHub renders it."""

import re

from avscene.reports.reproduction.rows import INTRODUCTION, Reproduction
from avscene.reports.reproduction.tables import MEANINGS, tables
from avscene.reports.text_table import TextTable

# What Markdown or HTML would take for its own, and dollar signs, between which GitHub sees mathematics.
SPECIAL = re.compile(r"[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])")


def to_markdown(reproduction: Reproduction) -> str:
    """The whole document; what it warns of stands before any figure."""
    parts = [
        f"# {_text(reproduction.heading)}",
        *(f"> **{_text(warning)}**" for warning in reproduction.warnings),
        _text(f"{INTRODUCTION} {reproduction.extent}"),
        *(_section(table) for table in tables(reproduction)),
        "## What the figures mean",
        "\n".join(f"- **{term}**: {_text(meaning)}" for term, meaning in MEANINGS),
        "## Where they come from",
        "\n".join(f"- {_text(note)}" for note in reproduction.notes),
    ]
    return "\n\n".join(parts) + "\n"


def _section(table: TextTable) -> str:
    rule = [":---" if column in table.words or at == 0 else "---:" for at, column in enumerate(table.columns)]
    lines = [map(_text, table.columns), rule, *(map(_cell, row) for row in table.rows)]
    drawn = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {_text(table.heading)}\n\n{_text(table.says)}\n\n{drawn}"


def _cell(text: str) -> str:
    return "<br>".join(map(_text, text.split("\n")))


def _text(text: str) -> str:
    r"""`text` that means nothing to Markdown, on one line; the underscore of `street_traffic` is harmless."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
