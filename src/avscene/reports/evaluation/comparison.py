"""How systems compare in, the sections of a report on it out: differences to the best, and complementarity."""

from avscene.evaluation.comparison import Comparison
from avscene.reports.heat_maps import complementarity_figure
from avscene.reports.page import captioned, section_html
from avscene.reports.plots import figure_html
from avscene.reports.result_tables import complementarity_table, difference_table


def comparison_sections(comparison: Comparison) -> str:
    """The `section` elements."""
    most = max((pair for one in comparison.pairs for pair in (one, one.reversed())), key=lambda pair: pair.only_first)
    says = (
        "Per cent of the rows on which the system of the row is right and that of the column is wrong; the fuller the "
        f"colour, the more it could add. Most: {most.first} is right on {most.only_first:.1%} "
        f"where {most.second} is wrong."
    )
    figure = captioned("Systems by systems", figure_html(complementarity_figure(comparison), says), says)
    return section_html(difference_table(comparison)) + section_html(complementarity_table(comparison), figure)
