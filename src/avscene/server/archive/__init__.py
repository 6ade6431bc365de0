"""Browse the results that `classify` wrote: an index of them, filters, and single recordings with their media."""

from avscene.server.archive.archive import Archive, ArchivePage, ListedRecording, ResultsChangedError
from avscene.server.archive.queries import ORDERS, ArchiveQuery

__all__ = ["ORDERS", "Archive", "ArchivePage", "ArchiveQuery", "ListedRecording", "ResultsChangedError"]
