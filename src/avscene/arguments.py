"""Check the types and ranges of arguments of public functions, and describe what was given instead."""

import os
from numbers import Integral, Real

from avscene.errors import UsageError

MAX_SHOWN = 40  # characters of a value in a message


def wrong_argument(name: str, value: object, accepted: str, hint: str = "") -> UsageError:
    """Return the error for an argument `name` of the wrong type; `accepted` names the right ones, `hint` a command."""
    return UsageError(f"{name} is {described(value)}; accepted: {accepted}" + (f"; try: {hint}" if hint else ""))


def described(value: object) -> str:
    """Return a short description of a value with its type, such as `a list of 3` or `the str '1'`."""
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" or kind == "ndarray" else "a"
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{article} {kind} of shape {tuple(shape)}"
    if isinstance(value, list | tuple | set | frozenset | dict):
        return f"{article} {kind} of {len(value)}"
    if isinstance(value, str | bool | Real):
        text = repr(value)
        return f"the {kind} {text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + '...'}"
    return f"{article} {kind}"


def check_type(name: str, value: object, kinds: type | tuple[type, ...], accepted: str) -> None:
    """Check that an argument is of one of these types.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, kinds):
        raise wrong_argument(name, value, accepted)


def check_number(name: str, value: object, accepted: str = "a number") -> None:
    """Check that an argument is a number, NaN and infinity included, and no bool.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise wrong_argument(name, value, accepted)


def check_positive_integer(name: str, value: object) -> None:
    """Check that an argument is an integer of 1 or more.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise wrong_argument(name, value, "an integer of 1 or more")


def check_path(name: str, value: object, accepted: str = "a path") -> None:
    """Check that an argument is a path: a str or an os.PathLike.

    Raises:
        UsageError: it is not, or it is empty.
    """
    if not isinstance(value, str | os.PathLike) or value == "":
        raise wrong_argument(name, value, accepted)
