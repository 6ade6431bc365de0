"""Fixtures that several tests of data sets share."""

from tests.support.small_disk import small_disk

__all__ = ["small_disk"]
