"""Render the comparison of systems as sections of a report: differences from the best, and complementarity."""

from avscene.evaluation.comparison import Comparison
from avscene.reports.heat_maps import complementarity_figure
from avscene.reports.page import captioned_figure, section_html
from avscene.reports.plots import figure_html
from avscene.reports.result_tables import complementarity_table, difference_table


def comparison_sections(comparison: Comparison) -> str:
    """Return the `section` elements of a comparison."""
    ordered_pairs = (ordered for pair in comparison.pairs for ordered in (pair, pair.reversed()))
    largest = max(ordered_pairs, key=lambda pair: pair.only_first)
    caption = (
        "Per cent of the rows on which the system of the row is correct and that of the column is not; stronger "
        f"colours are higher shares. The highest: {largest.first} is correct on {largest.only_first:.1%} "
        f"where {largest.second} is not."
    )
    figure = captioned_figure("Systems by systems", figure_html(complementarity_figure(comparison), caption), caption)
    return section_html(difference_table(comparison)) + section_html(complementarity_table(comparison), figure)
