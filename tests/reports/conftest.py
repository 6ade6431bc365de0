"""Leave Plotly's own code, 5 MB, out of the pages of these tests."""

import pytest


@pytest.fixture
def without_plotly_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace Plotly's JavaScript by a comment."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* plotly */")
