"""Keep outcomes of recordings on disk while a run goes on, so that an interrupted run continues from there."""

from avscene.inference.journal.content import FileState
from avscene.inference.journal.database import Journal, open_journal

__all__ = ["FileState", "Journal", "open_journal"]
