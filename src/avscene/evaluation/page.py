"""What every HTML page shares: the frame around its body, with all that it needs inside, and captioned figures."""

import html
from collections.abc import Mapping
from importlib import resources

# Even markup that slipped through could load nothing: the page may use only what it carries.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def html_page(title: str, body: str) -> str:
    """A whole document around `body`, which is markup; `title` is text. Plotly's code is in it once."""
    from plotly.offline import get_plotlyjs

    ours = resources.files("avscene.evaluation")
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
