"""Videos of unusual shape, orientation, colour or transparency."""

from tests.media_conformance.case import Case

CASES: tuple[Case, ...] = ()
