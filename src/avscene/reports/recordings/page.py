"""Write one HTML page with all recordings of a run: a searchable list with thumbnails, timelines and open answers."""

import tempfile
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import IO

from avscene.labels import LabelSet
from avscene.records import ByteArray
from avscene.reports.page import POLICY
from avscene.reports.recordings.counts import OutcomeCounts, OutcomeSummary
from avscene.reports.recordings.markup import COLUMNS, N_COLORS, RowMarkup, SystemInfo, escaped
from avscene.reports.recordings.spans import SURE_LEAD, SURE_PROBABILITY, Outcome

_BLOCK = 2**16  # characters
MOST_IN_LEGEND = 40  # scenes; a table of more is no help
_STATES = {
    "several": "several scenes",
    "unsure": "unsure",
    "unknown": "unknown",
    "unfamiliar": "unfamiliar",
    "mismatch": "mismatch",
    "failed": "failed",
}


def page_texts(outcomes: Iterable[tuple[Outcome, ByteArray | None]], system: SystemInfo) -> Iterator[str]:
    """Yield the parts of a page with a row for each outcome.

    Rows are kept in a temporary file, so that memory does not grow with their number. The page loads nothing; without
    JavaScript it is a plain table.

    Args:
        outcomes: each with an RGB frame (height, width, 3) of the recording, if there is one.
        system: the system that classified.
    """
    counts, row = OutcomeCounts(), RowMarkup(system)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as rows:
        for outcome, frame in outcomes:
            counts.add(OutcomeSummary.of(outcome))
            rows.write(row.of(outcome, frame))
        yield _beginning(counts, system)
        rows.seek(0)
        yield from _blocks(rows)
    yield f"</tbody></table></main>\n<script>{_resource('recordings.js')}</script>\n</body>\n</html>\n"


def _blocks(file: IO[str]) -> Iterator[str]:
    while block := file.read(_BLOCK):
        yield block


def _resource(name: str) -> str:
    return resources.files("avscene.reports.recordings").joinpath(name).read_text("utf-8")


def _beginning(counts: OutcomeCounts, system: SystemInfo) -> str:
    title = f"Scenes of {counts.n_outcomes:,} recording{'s' if counts.n_outcomes != 1 else ''}"
    style = resources.files("avscene.reports").joinpath("report.css").read_text("utf-8") + _resource("recordings.css")
    heads = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in COLUMNS)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="wide">
<header><h1>{title}</h1>
<p>{_summary(counts, system)}</p>
{_legend(counts, system.labels)}</header>
<main>
{_controls(counts, system.labels)}
<noscript><p>The search needs JavaScript; the table below has all results.</p></noscript>
<table class="recordings" role="table">
<thead role="rowgroup"><tr role="row">{heads}</tr></thead>
<tbody role="rowgroup">
"""


def _summary(counts: OutcomeCounts, system: SystemInfo) -> str:
    parts = [f"{counts.n_classified:,} classified by {escaped(system.name)} ({counts.hours})"]
    parts += [f"{counts.failed.total():,} failed"] if counts.failed else []
    parts += [f"{counts.states[state]:,} {name}" for state, name in _STATES.items() if state != "failed"]
    parts = [part for part in parts if not part.startswith("0 ") or "classified" in part]
    sentences = [f"{', '.join(parts)}."]
    if counts.states["unsure"]:
        sentences.append(
            f"Unsure: the most probable scene has less than {SURE_PROBABILITY:.0%}, or leads the next one by less than "
            f"{SURE_LEAD:.0%}."
        )
    if counts.states["unknown"]:
        sentences.append("Unknown: no scene is probable enough for the risk that was asked for.")
    if counts.states["unfamiliar"]:
        sentences.append("Unfamiliar: unlike the recordings of training, so it may show none of the scenes.")
    if counts.states["mismatch"]:
        sentences.append("Mismatch: audio and video do not seem to belong together, in all or a part of the recording.")
    return " ".join(sentences)


def _legend(counts: OutcomeCounts, labels: LabelSet) -> str:
    """Return the color of each scene, with the number of recordings that have it alone."""
    shown = labels.names if len(labels) <= MOST_IN_LEGEND else [name for name, _ in counts.scenes.most_common()]
    items = "".join(
        f'<li><span class="key" style="background:var(--c{labels.index(name) % N_COLORS})"></span>{escaped(name)} '
        f'<span class="muted">{counts.scenes[name]:,}</span></li>'
        for name in shown[:MOST_IN_LEGEND]
    )
    return f'<ul class="legend" aria-label="Colors of the scenes">{items}</ul>'


def _controls(counts: OutcomeCounts, labels: LabelSet) -> str:
    scenes = "".join(f'<option value="{number}">{escaped(name)}</option>' for number, name in enumerate(labels))
    states = "".join(
        f'<option value="{state}">{name} ({counts.states[state]:,})</option>'
        for state, name in _STATES.items()
        if counts.states[state]
    )
    return f"""<form class="controls" role="search" hidden>
<label>Search <input name="words" type="search" placeholder="names, scenes, notes" autocomplete="off"></label>
<label>Scene <select name="scene"><option value="">all</option>{scenes}</select></label>
<label>Answer <select name="state"><option value="">all</option>{states}</select></label>
<label>Order <select name="order"><option value="given">as classified</option><option value="name">by name</option>
<option value="score">least sure first</option><option value="longest">longest first</option></select></label>
<output name="status" aria-live="polite"></output>
</form>"""
