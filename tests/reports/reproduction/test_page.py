"""Test the HTML page of a reproduction: self-contained, safe with hostile names, with correct figures."""

import json
import re

import numpy as np
import pytest

from avscene.reports.reproduction.html import reproduction_html
from avscene.reports.reproduction.markdown import reproduction_markdown
from avscene.reports.reproduction.plots import learning_curve_figure
from avscene.reports.reproduction.rows import best_epoch
from avscene.reports.reproduction.values import reproduction_to_dict
from tests.golden.regenerate_reproduction import paper
from tests.support.html_page import Page
from tests.support.reproductions import HOSTILE, hostile_reproduction, markdown_tables, render_markdown

pytestmark = pytest.mark.usefixtures("without_plotly_code")


def test_hostile_names_are_escaped_in_html():
    page = Page(reproduction_html(hostile_reproduction()))
    assert len(page.attributes("script")) == len(page.figures) + 2 == 5 + 2, "figures, Plotly and report.js"
    assert not [attributes for _, attributes in page.elements if "onerror" in attributes]
    assert not page.attributes("img")
    assert HOSTILE in page.texts["td"]
    figures = json.dumps([figure["data"] + [figure["layout"]] for figure in page.figures])
    assert "<script" not in figures, "Plotly renders markup in texts"
    assert "<img" not in figures


def test_hostile_names_are_escaped_in_markdown():
    text = reproduction_markdown(hostile_reproduction())
    assert not re.search(r"<(script|img|a|em|s|code|!--)\b", render_markdown(text, "strikethrough"))
    escaped = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    for table in markdown_tables(text):
        assert len({len(line) for line in table}) == 1, "no name ends its cell"
    assert markdown_tables(text)[0][1][0] == escaped
    assert markdown_tables(text)[0][1][2] == escaped


def test_page_is_self_contained():
    text = reproduction_html(paper())
    page = Page(text)
    assert "http" not in re.sub(r"<meta http-equiv", "", text), "nothing is loaded"
    assert not [attributes for attributes in page.attributes("script") if "src" in attributes]
    assert not page.attributes("link")
    assert all(link["href"].startswith("#") for link in page.attributes("a"))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {link["href"][1:] for link in page.attributes("a")} == ids
    assert all(header.get("scope") in ("row", "col") for header in page.attributes("th"))
    assert all(plot.get("aria-label") for plot in page.attributes("div") if plot.get("class") == "plot")
    assert len(page.attributes("figure")) == len(page.attributes("figcaption")) == len(page.figures) == 5
    policy = next(meta["content"] for meta in page.attributes("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")


def test_plotly_accepts_the_figures():
    import plotly.graph_objects as go

    for reproduction in (paper(), hostile_reproduction()):
        for figure in Page(reproduction_html(reproduction)).figures:
            go.Figure(json.loads(re.sub(r"theme:[a-z-]+", "#123456", json.dumps(figure))))


def test_comparison_figure_has_the_order_and_values_of_the_table():
    loss, accuracy, *_ = Page(reproduction_html(paper())).figures
    published, measured = loss["data"]
    assert published["y"] == [0, 1, 2, 3]
    assert measured["y"] == [0, 2, 3, 4]
    rows = reproduction_to_dict(paper())["rows"]
    metrics = [row["measured"]["segments"] for row in rows if row["measured"]]
    assert measured["x"] == pytest.approx([values["log_loss"] for values in metrics], abs=1e-4)
    high = [values["intervals"]["log_loss"]["high"] for values in metrics]
    ends = np.array(measured["x"]) + np.array(measured["error_x"]["array"])
    assert ends == pytest.approx(high, abs=2e-4)
    assert accuracy["data"][0]["x"] == [76.6, 76.7, 95.8, 96.1]
    assert loss["layout"]["yaxis"]["ticktext"] == ["A01", "C01", "E01", "E02", "E03"]


def test_learning_curves_have_gaps_and_a_dot_at_the_best_epoch():
    nan = float("nan")
    history = [
        {"epoch": 1, "train_loss": 1.5, "valid_log_loss": 0.9, "rate": 1e-3},
        {"epoch": 2, "train_loss": nan, "valid_log_loss": 0.7, "rate": 1e-3},
        {"epoch": 3, "train_loss": 0.5, "valid_log_loss": nan, "rate": 1e-3},
        {"epoch": 4, "train_loss": 0.4, "valid_log_loss": 0.8, "rate": 1e-3},
    ]
    train, valid, dot = learning_curve_figure(history)["data"]
    assert train["y"] == [1.5, None, 0.5, 0.4]
    assert (valid["name"], valid["x"], valid["y"]) == ("valid log loss", [1, 2, 3, 4], [0.9, 0.7, None, 0.8])
    assert (dot["x"], dot["y"]) == ([2], [0.7])
    assert best_epoch(history)["epoch"] == 2
    (only,) = learning_curve_figure([{"epoch": 1, "train_loss": 1.0}])["data"]
    assert only["name"] == "train loss"
    assert best_epoch([{"epoch": 1, "train_loss": 1.0}]) is None
