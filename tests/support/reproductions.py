"""Small reproductions for tests of their reports, and the tables of a rendered Markdown document."""

import re
from dataclasses import replace

import numpy as np
from markdown_it import MarkdownIt

from avscene.evaluation.measurement import measure
from avscene.labels import LabelSet
from avscene.reports.reproduction.rows import Absent, Published, Reproduction, ReproductionRow
from tests.support.location_tables import SEEN, location_table

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;<!--|`*[x](http://x) $1$ _a_ \\|~~b~~"


def build_row(**changes) -> ReproductionRow:
    """Return a row, measured unless `changes` replace its values."""
    values = {"index": "A01", "title": "RegNet", "needs": "audio", "fitted_on": "train", "measured_on": "test"}
    if not {"measured", "absent"} & changes.keys():
        values["measured"] = measure(location_table(1, 2.0), seen=SEEN)
    return ReproductionRow(**(values | changes))


def build_reproduction(*rows: ReproductionRow, **changes) -> Reproduction:
    """Return a reproduction of the given rows, by default of one."""
    values = {
        "data": "toytown",
        "backbones": "paper",
        "same_data": True,
        "date": "2026-01-02",
        "versions": {"avscene": "1"},
    }
    return Reproduction(**(values | changes), rows=rows or (build_row(),))


def hostile_reproduction() -> Reproduction:
    """Return a reproduction with markup and code in every text."""
    table = location_table(1, 1.0)
    half = len(table) // 2
    table = replace(
        table,
        labels=LabelSet((HOSTILE, "park")),
        probabilities=np.array([[0.7, 0.3]] * len(table)),
        truth=(HOSTILE,) * half + ("park",) * half,
    )
    measured = measure(table, cities=dict.fromkeys(table.filenames, HOSTILE), seen=set())
    texts = dict.fromkeys(("title", "needs", "fitted_on", "measured_on", "notes", "stand_in"), HOSTILE)
    history = [{"epoch": 1, "train_loss": 1.0, "valid_log_loss": 0.8}]
    return build_reproduction(
        build_row(index=HOSTILE, measured=measured, reconstructs=(HOSTILE,), history=history, **texts),
        build_row(index="absent", absent=Absent(HOSTILE, HOSTILE), published=Published(1.0, 0.5)),
        data=HOSTILE,
        versions={HOSTILE: HOSTILE},
        same_data=False,
    )


def render_markdown(markdown: str, *extensions: str) -> str:
    """Return the HTML of a Markdown document, with embedded HTML allowed as on GitHub."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", *extensions]).render(markdown)


def markdown_tables(markdown: str) -> list[list[list[str]]]:
    """Return every table of a Markdown document as rows of cells, which may contain tags."""
    return [
        [
            re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL)
            for line in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        ]
        for body in re.findall(r"<table>(.*?)</table>", render_markdown(markdown), re.DOTALL)
    ]
