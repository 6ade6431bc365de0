"""Render a reproduction as Markdown for GitHub."""

import re

from avscene.reports.glossary import GLOSSARY_HEADING
from avscene.reports.reproduction.rows import INTRODUCTION, Reproduction
from avscene.reports.reproduction.tables import GLOSSARY, reproduction_tables
from avscene.reports.text_table import TextTable

# Characters that are markup in Markdown or HTML, and dollar signs, between which GitHub renders mathematics.
MARKUP = re.compile(r"[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])")


def reproduction_markdown(reproduction: Reproduction) -> str:
    """Return the complete document; warnings come before all metrics."""
    parts = [
        f"# {_escape(reproduction.heading)}",
        *(f"> **{_escape(warning)}**" for warning in reproduction.warnings),
        _escape(f"{INTRODUCTION} {reproduction.extent}"),
        *(_table_section(table) for table in reproduction_tables(reproduction)),
        f"## {GLOSSARY_HEADING}",
        "\n".join(f"- **{term}**: {_escape(definition)}" for term, definition in GLOSSARY.items()),
        "## Sources",
        "\n".join(f"- {_escape(note)}" for note in reproduction.notes),
    ]
    return "\n\n".join(parts) + "\n"


def _table_section(table: TextTable) -> str:
    rule = [":---" if column in table.text_columns or at == 0 else "---:" for at, column in enumerate(table.columns)]
    rows = [map(_escape, table.columns), rule, *(map(_cell, row) for row in table.rows)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## {_escape(table.heading)}\n\n{_escape(table.caption)}\n\n{lines}"


def _cell(text: str) -> str:
    return "<br>".join(map(_escape, text.split("\n")))


def _escape(text: str) -> str:
    r"""Return `text` on one line with a backslash before markup; the underscore of `street_traffic` needs none."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
