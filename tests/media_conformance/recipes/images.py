"""Cases of this kind follow."""

from tests.media_conformance.case import Case

CASES: tuple[Case, ...] = ()
