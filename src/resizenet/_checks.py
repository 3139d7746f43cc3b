"""Argument checks that every package shares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeGuard

from ._errors import ArgumentError, UnknownNameError


def check_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Raise UnknownNameError, with the choices and the closest match, unless ``value`` is one of ``choices``."""
    names = list(choices)
    if isinstance(value, str) and value in names:
        return
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UnknownNameError(f"{argument}: expected one of {', '.join(map(repr, names))}, got {value!r}{hint}")


def check_positive(argument: str, value: object) -> None:
    """Raise ArgumentError unless ``value`` is a positive int."""
    if not is_int(value) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{argument}: expected a positive int, got {value!r}")


def is_int(value: object) -> TypeGuard[int]:
    """Whether ``value`` is an int, or one of the symbolic ints with which torch exports and compiles for any size."""
    return isinstance(value, int) or type(value).__name__ == "SymInt"
