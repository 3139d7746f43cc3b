"""Argument checks shared by all packages; each error names the argument, what was expected and what was passed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard

from ._errors import ArgumentError, UnknownNameError

MAX_COUNT = 2**31 - 1
"""The most pixels per side, channels or samples, because torch's kernels index them with 32 bits."""

MAX_REPEATS = 10_000
"""The most layers of one kind, steps or cycles: each takes time and memory to make.

The deepest convolutional network that was trained has 10,000 layers (Xiao et al. 2018, arXiv 1806.05393).
"""


def check_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Raise UnknownNameError, which lists the choices and the closest match, unless ``value`` is one of them."""
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        expected = ", ".join(map(repr, names))
        raise UnknownNameError(f"{argument}: expected one of {expected}, got {value!r}{did_you_mean(value, names)}")


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """``"; did you mean 'bilinear'?"`` for the closest of ``names``, or an empty string when none is close."""
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def check_positive(argument: str, value: object, *, at_most: float = MAX_COUNT) -> None:
    """Raise ArgumentError unless ``value`` is a positive int, and not above ``at_most``."""
    _check_int(argument, value, "a positive int", at_least=1, at_most=at_most)


def check_non_negative(argument: str, value: object, *, at_most: float = MAX_COUNT) -> None:
    """Raise ArgumentError unless ``value`` is an int of at least 0, and not above ``at_most``."""
    _check_int(argument, value, "a non-negative int", at_least=0, at_most=at_most)


def _check_int(argument: str, value: object, expected: str, *, at_least: int, at_most: float) -> None:
    if not is_int(value) or isinstance(value, bool) or value < at_least:
        raise ArgumentError(f"{argument}: expected {expected}, got {value!r}")
    if value > at_most:
        raise ArgumentError(f"{argument}: expected {expected} up to {at_most}, got {value!r}")


def parse_number(
    argument: str,
    value: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """``value`` as a float if it is a finite real number within the bounds; otherwise raise ArgumentError."""
    number = _finite_float(value)
    if number is not None and not isinstance(value, bool):
        low = (above is None or number > above) and (at_least is None or number >= at_least)
        high = (below is None or number < below) and (at_most is None or number <= at_most)
        if low and high:
            return number
    bounds = {"above": above, "at least": at_least, "below": below, "at most": at_most}
    limits = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    raise ArgumentError(f"{argument}: expected a number {limits}".rstrip() + f", got {value!r}")


def parse_range(argument: str, values: object, *, upper: float = MAX_COUNT) -> tuple[float, float]:
    """(low, high) with 0 < low <= high <= ``upper``, and low not below ``1 / MAX_COUNT``; else raise ArgumentError."""
    if is_sequence(values) and len(values) == 2:
        low, high = map(_finite_float, values)
        if low is not None and high is not None and 0 < low <= high <= upper:
            if low < 1 / MAX_COUNT:
                raise ArgumentError(f"{argument}: expected numbers of at least {1 / MAX_COUNT:g}, got {values!r}")
            return low, high
    raise ArgumentError(f"{argument}: expected (low, high) with 0 < low <= high <= {upper:g}, got {values!r}")


def parse_int(argument: str, value: object, *, at_least: int, at_most: int) -> int:
    """``value`` as an int if it has an integer type and is within the bounds; otherwise raise ArgumentError."""
    if isinstance(value, Integral) and not isinstance(value, bool) and at_least <= int(value) <= at_most:
        return int(value)
    raise ArgumentError(f"{argument}: expected an int from {at_least} to {at_most}, got {value!r}")


def _finite_float(value: object) -> float | None:
    """``value`` as a float, or None unless it is a finite real number that a float can hold."""
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except OverflowError:  # of a large int
        return None
    return number if math.isfinite(number) else None


def is_int(value: object) -> TypeGuard[int]:
    """Whether ``value`` is an int, or a symbolic int as in torch.export and torch.compile with dynamic sizes."""
    return isinstance(value, int) or type(value).__name__ == "SymInt"


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether ``value`` is a sequence other than text, such as a list or a tuple."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
