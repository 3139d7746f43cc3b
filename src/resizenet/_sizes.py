"""Sizes, rounding and box geometry in plain numbers, so that they are tested without tensors."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from ._checks import MAX_COUNT, is_int, is_sequence
from ._errors import SizeError

Size = int | Sequence[int]
"""One int for a square, or (height, width), in pixels."""

MAX_AREA = 2**57
"""The most pixels of an image, because no processor addresses more bytes (x86-64 with page tables of five levels)."""


def parse_size(size: object, *, argument: str = "size") -> tuple[int, int]:
    """(height, width) of ``size``; raise SizeError unless it is one positive int or two."""
    values = tuple(size) if is_sequence(size) else (size, size)
    if len(values) != 2:
        raise SizeError(f"{argument}: expected an int or (height, width), got {len(values)} numbers in {size!r}")
    try:  # operator.index would turn a symbolic int into a constant
        height, width = (value if is_int(value) else operator.index(value) for value in values)
    except TypeError:
        raise SizeError(f"{argument}: expected an int or (height, width) in whole pixels, got {size!r}") from None
    if height < 1 or width < 1 or any(isinstance(value, bool) for value in values):
        raise SizeError(f"{argument}: expected an int or (height, width), each at least 1, got {size!r}")
    if isinstance(height, int) and isinstance(width, int):  # symbolic ints have no bound
        if max(height, width) > MAX_COUNT:
            raise SizeError(f"{argument}: expected an int or (height, width), each at most {MAX_COUNT}, got {size!r}")
        if height * width > MAX_AREA:
            expected = f"expected an int or (height, width) of at most {MAX_AREA} pixels"
            raise SizeError(f"{argument}: {expected}, got {size!r}")
    return height, width


def round_half_up(length: float) -> int:
    """The nearest whole number of pixels, at least 1; a half is rounded up."""
    return max(1, math.floor(length + 0.5))


def cover_size(height: int, width: int, target: tuple[int, int]) -> tuple[int, int]:
    """The smallest (height, width) of the same aspect ratio that covers ``target``.

    One side equals the target's, the other is rounded half up.
    """
    if height * target[1] <= width * target[0]:  # limited by the height
        return target[0], max(target[1], round_half_up(width * target[0] / height))
    return max(target[0], round_half_up(height * target[1] / width)), target[1]


def fit_size(height: int, width: int, target: tuple[int, int], *, enlarge: bool = True) -> tuple[int, int]:
    """The largest (height, width) of the same aspect ratio that fits inside ``target``.

    One side equals the target's, the other is rounded half up. Without ``enlarge`` an image that already fits keeps its
    size.
    """
    if not enlarge and height <= target[0] and width <= target[1]:
        return height, width
    if height * target[1] >= width * target[0]:  # limited by the height
        return target[0], round_half_up(width * target[0] / height)
    return round_half_up(height * target[1] / width), target[1]


def fit_size_half_to_even(height: int, width: int, target: tuple[int, int], *, enlarge: bool = True) -> tuple[int, int]:
    """``fit_size`` as in YOLO's ``letterbox``: both sides times one rounded factor, and a half is rounded to even."""
    factor = min(target[0] / height, target[1] / width, math.inf if enlarge else 1)
    return max(1, round(height * factor)), max(1, round(width * factor))


def round_up_to_multiple(length: int, multiple: int) -> int:
    """The smallest multiple of ``multiple`` that is at least ``length``."""
    return -(-length // multiple) * multiple


def nearest_multiple(length: float, multiple: int) -> int:
    """The multiple of ``multiple`` nearest to ``length``, at least ``multiple``; a tie goes to the larger one."""
    return multiple * round_half_up(length / multiple)


POSITIONS = {
    "center": (1, 1),
    "top_left": (0, 0),
    "top_right": (0, 2),
    "bottom_left": (2, 0),
    "bottom_right": (2, 2),
}
"""Position of an image on a larger canvas: how many halves of the padding go above it and to its left."""


@dataclass(frozen=True)
class Placement:
    """An image of size ``content`` at (top, left) of a canvas."""

    content: tuple[int, int]
    canvas: tuple[int, int]
    top: int
    left: int

    @property
    def padding(self) -> list[int]:
        """[left, top, right, bottom] in pixels, torchvision's order."""
        (height, width), (canvas_height, canvas_width) = self.content, self.canvas
        return [self.left, self.top, canvas_width - width - self.left, canvas_height - height - self.top]


def place(content: tuple[int, int], canvas: tuple[int, int], position: str) -> Placement:
    """``content`` on a ``canvas`` that is at least as large; an odd pixel of padding goes below and to the right."""
    above, left = POSITIONS[position]
    return Placement(content, canvas, (canvas[0] - content[0]) * above // 2, (canvas[1] - content[1]) * left // 2)


def letterbox(
    height: int,
    width: int,
    target: tuple[int, int],
    *,
    position: str,
    upscale: bool,
    stride: int | None,
    half_to_even: bool = False,
) -> Placement:
    """The image resized to fit ``target``, placed on it or, with ``stride``, on the smallest multiples that hold it."""
    content = (fit_size_half_to_even if half_to_even else fit_size)(height, width, target, enlarge=upscale)
    if stride is None:
        canvas = target
    else:
        canvas = round_up_to_multiple(content[0], stride), round_up_to_multiple(content[1], stride)
    return place(content, canvas, position)


def keep_ratio_size(
    height: int, width: int, target: tuple[int, int], *, longest: float, zoom: float = 1.0, stretch: float = 1.0
) -> tuple[int, int]:
    """(height, width) after one factor for both sides, as in timm's ResizeKeepRatio.

    With ``longest`` 0 the image covers ``target``, with 1 it fits inside, and values between interpolate. ``zoom``
    multiplies both sides, and ``stretch`` multiplies the ratio of width to height.
    """
    factors = height / target[0], width / target[1]
    factor = max(factors) * longest + min(factors) * (1 - longest)
    root = math.sqrt(stretch)
    return round_half_up(height * zoom / root / factor), round_half_up(width * zoom * root / factor)
