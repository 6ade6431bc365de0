"""Build the parts that all HTML pages share: the document, sections, tables and captioned figures."""

import html
from collections.abc import Mapping
from importlib import resources

from avscene.reports.text_table import TextTable

# The page may load nothing from elsewhere, even if markup from a name were not escaped.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def html_page(title: str, body: str) -> str:
    """Return a complete document, which contains Plotly's code; `title` is text, `body` is markup."""
    from plotly.offline import get_plotlyjs

    package = resources.files("avscene.reports")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{package.joinpath("report.css").read_text("utf-8")}</style>
</head>
<body>
{body}
<noscript><p>The figures need JavaScript; the tables contain the same results.</p></noscript>
<script>{get_plotlyjs()}</script>
<script>{package.joinpath("report.js").read_text("utf-8")}</script>
</body>
</html>
"""


def captioned_figure(heading: str, content: str, caption: str) -> str:
    """Return a `figure` element around the markup `content`; `heading` and `caption` are text."""
    return f"<figure><h3>{html.escape(heading)}</h3>{content}<figcaption>{html.escape(caption)}</figcaption></figure>"


def navigation_html(names: Mapping[str, str]) -> str:
    """Return links to the sections of a page from their names by anchor; empty with fewer than two sections."""
    if len(names) < 2:
        return ""
    links = "".join(f'<li><a href="#{anchor}">{html.escape(name)}</a></li>' for anchor, name in names.items())
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>'


def section_html(table: TextTable, figures: str = "") -> str:
    """Return the section of `table`: heading, caption, the markup `figures`, and the table."""
    return (
        f'<section id="{table.anchor}"><h2>{html.escape(table.heading)}</h2><p>{html.escape(table.caption)}</p>'
        f"{figures}{table_html(table)}</section>"
    )


def table_html(table: TextTable) -> str:
    """Return the table without its heading, in a box that scrolls if the table is too wide."""
    rows = "".join(_body_row(table, row) for row in table.rows)
    return (
        f'<div class="card scroll" role="region" aria-label="{html.escape(table.heading)}" tabindex="0">'
        f"<table>{_header_row(table)}<tbody>{rows}</tbody></table></div>"
    )


def _header_row(table: TextTable) -> str:
    cells = "".join(
        f'<th scope="col"{_class(table, column)}>{"<br>".join(html.escape(part) for part in column.split(", "))}</th>'
        for column in table.columns
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _body_row(table: TextTable, row: tuple[str, ...]) -> str:
    index, *cells = row
    columns = "".join(
        f"<td{_class(table, column)}>{_cell(cell)}</td>" for column, cell in zip(table.columns[1:], cells, strict=True)
    )
    return f'<tr><th scope="row">{html.escape(index)}</th>{columns}</tr>'


def _class(table: TextTable, column: str) -> str:
    return ' class="text"' if column in table.text_columns else ""


def _cell(cell: str) -> str:
    value, *remarks = cell.split("\n")
    return html.escape(value) + "".join(f'<span class="remark">{html.escape(remark)}</span>' for remark in remarks)
