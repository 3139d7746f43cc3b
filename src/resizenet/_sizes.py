"""Sizes, rounding and box geometry in plain numbers, so that their laws are tested without a tensor."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from ._errors import SizeError

Size = int | Sequence[int]
"""One int for a square, or (height, width), in pixels."""


def parse_size(size: object, *, argument: str = "size") -> tuple[int, int]:
    """(height, width) of ``size``, which is a positive int or two of them; else SizeError."""
    values = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(values) != 2:
        raise SizeError(f"{argument}: expected an int or (height, width), got {len(values)} numbers in {size!r}")
    try:
        height, width = map(operator.index, values)
    except TypeError:
        raise SizeError(f"{argument}: expected an int or (height, width) in whole pixels, got {size!r}") from None
    if height < 1 or width < 1 or any(isinstance(value, bool) for value in values):
        raise SizeError(f"{argument}: expected an int or (height, width), each at least 1, got {size!r}")
    return height, width


def round_half_up(length: float) -> int:
    """The nearest whole number of pixels, a half upwards, never below 1."""
    return max(1, math.floor(length + 0.5))


def cover_size(height: int, width: int, target: tuple[int, int]) -> tuple[int, int]:
    """The smallest (height, width) of the same shape that covers ``target``: one side equals it, the other is rounded half up."""
    if height * target[1] <= width * target[0]:  # the height decides
        return target[0], max(target[1], round_half_up(width * target[0] / height))
    return max(target[0], round_half_up(height * target[1] / width)), target[1]
