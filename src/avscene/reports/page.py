"""What every HTML page shares: the frame around its body, with all that it needs inside, captioned figures, tables."""

import html
from collections.abc import Mapping
from importlib import resources

from avscene.reports.text_table import TextTable

# Even markup that slipped through could load nothing: the page may use only what it carries.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def html_page(title: str, body: str) -> str:
    """A whole document around `body`, which is markup; `title` is text. Plotly's code is in it once."""
    from plotly.offline import get_plotlyjs

    ours = resources.files("avscene.reports")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{ours.joinpath("report.css").read_text("utf-8")}</style>
</head>
<body>
{body}
<noscript><p>The figures need JavaScript; the tables hold the same results.</p></noscript>
<script>{get_plotlyjs()}</script>
<script>{ours.joinpath("report.js").read_text("utf-8")}</script>
</body>
</html>
"""


def captioned(heading: str, content: str, caption: str) -> str:
    """A `figure` element around the markup `content`; `heading` and `caption` are text."""
    return f"<figure><h3>{html.escape(heading)}</h3>{content}<figcaption>{html.escape(caption)}</figcaption></figure>"


def navigation(targets: Mapping[str, str]) -> str:
    """Links to the sections of a page, `targets` being their names by anchor; nothing where there is but one."""
    if len(targets) < 2:
        return ""
    links = "".join(f'<li><a href="#{anchor}">{html.escape(name)}</a></li>' for anchor, name in targets.items())
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>'


def section_html(table: TextTable, figures: str = "") -> str:
    """The section of `table`: its heading, what it says, the markup `figures`, and the table itself."""
    return (
        f'<section id="{table.anchor}"><h2>{html.escape(table.heading)}</h2><p>{html.escape(table.says)}</p>'
        f"{figures}{table_html(table)}</section>"
    )


def table_html(table: TextTable) -> str:
    """The table alone, in a frame that scrolls where it is too wide."""
    return (
        f'<div class="card scroll" role="region" aria-label="{html.escape(table.heading)}" tabindex="0">'
        f"<table>{_head(table)}<tbody>{''.join(_row(table, row) for row in table.rows)}</tbody></table></div>"
    )


def _head(table: TextTable) -> str:
    cells = "".join(
        f'<th scope="col"{_words(table, column)}>{"<br>".join(html.escape(part) for part in column.split(", "))}</th>'
        for column in table.columns
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _row(table: TextTable, row: tuple[str, ...]) -> str:
    index, *cells = row
    drawn = "".join(
        f"<td{_words(table, column)}>{_lines(cell)}</td>" for column, cell in zip(table.columns[1:], cells, strict=True)
    )
    return f'<tr><th scope="row">{html.escape(index)}</th>{drawn}</tr>'


def _words(table: TextTable, column: str) -> str:
    return ' class="words"' if column in table.words else ""


def _lines(cell: str) -> str:
    """The cell's text and, in a smaller hand, its remarks."""
    text, *remarks = cell.split("\n")
    return html.escape(text) + "".join(f'<span class="remark">{html.escape(remark)}</span>' for remark in remarks)
