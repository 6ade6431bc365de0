"""No pauses between the retries of downloads."""

import pytest

from avscene.datasets.tau import transfer


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0,) * len(transfer.PAUSES))
