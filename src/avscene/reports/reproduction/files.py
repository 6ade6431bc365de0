"""Write a reproduction of the paper as one Markdown, one JSON and one HTML file."""

import json
from pathlib import Path

from avscene.files import write_text
from avscene.reports.reproduction.html import reproduction_html
from avscene.reports.reproduction.markdown import reproduction_markdown
from avscene.reports.reproduction.rows import Reproduction
from avscene.reports.reproduction.values import reproduction_to_dict

STEM = "reproduction"  # name of the three files without their endings


def write_reproduction(directory: Path, reproduction: Reproduction) -> tuple[Path, Path, Path]:
    """Write the table as Markdown, JSON and HTML into `directory`, each file complete or not at all.

    Raises:
        DataError: a file cannot be written.
    """
    paths = (directory / f"{STEM}.md", directory / f"{STEM}.json", directory / f"{STEM}.html")
    values = json.dumps(reproduction_to_dict(reproduction), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    texts = (reproduction_markdown(reproduction), values, reproduction_html(reproduction))
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return paths
