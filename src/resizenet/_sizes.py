"""Sizes, rounding and box geometry in plain numbers, so that their laws are tested without a tensor."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from ._checks import is_int, is_sequence
from ._errors import SizeError

Size = int | Sequence[int]
"""One int for a square, or (height, width), in pixels."""


def parse_size(size: object, *, argument: str = "size") -> tuple[int, int]:
    """(height, width) of ``size``, which is a positive int or two of them; else SizeError."""
    values = tuple(size) if is_sequence(size) else (size, size)
    if len(values) != 2:
        raise SizeError(f"{argument}: expected an int or (height, width), got {len(values)} numbers in {size!r}")
    try:
        height, width = (
            value if is_int(value) else operator.index(value) for value in values
        )  # which would make a symbolic int a constant
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


def fit_size(height: int, width: int, target: tuple[int, int], *, enlarge: bool = True) -> tuple[int, int]:
    """The largest (height, width) of the same shape inside ``target``: one side equals it, the other is rounded half up.

    Without ``enlarge`` an image that is inside already keeps its size.
    """
    if not enlarge and height <= target[0] and width <= target[1]:
        return height, width
    if height * target[1] >= width * target[0]:  # the height decides
        return target[0], round_half_up(width * target[0] / height)
    return round_half_up(height * target[1] / width), target[1]


def round_up_to_multiple(length: int, multiple: int) -> int:
    """The smallest multiple that is not below ``length``."""
    return -(-length // multiple) * multiple


def nearest_multiple(length: float, multiple: int) -> int:
    """The multiple nearest to ``length``, the larger of two, never below ``multiple`` itself."""
    return multiple * round_half_up(length / multiple)


POSITIONS = {
    "center": (0.5, 0.5),
    "top_left": (0.0, 0.0),
    "top_right": (0.0, 1.0),
    "bottom_left": (1.0, 0.0),
    "bottom_right": (1.0, 1.0),
}
"""Where an image lies on a larger canvas: the shares of the padding that go above it and to its left."""


@dataclass(frozen=True)
class Placement:
    """An image of ``content`` pixels on a canvas: where it lies, and how far it is from each edge."""

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
    """``content`` on a ``canvas`` that is nowhere smaller; where the middle is half a pixel off, above and to the left of it."""
    above, before = POSITIONS[position]
    return Placement(content, canvas, int((canvas[0] - content[0]) * above), int((canvas[1] - content[1]) * before))


def letterbox(
    height: int, width: int, target: tuple[int, int], *, position: str, upscale: bool, stride: int | None
) -> Placement:
    """The image resized to fit ``target`` and placed on it, or, with ``stride``, on the smallest canvas whose sides are multiples of it."""
    content = fit_size(height, width, target, enlarge=upscale)
    canvas = (
        target
        if stride is None
        else (round_up_to_multiple(content[0], stride), round_up_to_multiple(content[1], stride))
    )
    return place(content, canvas, position)


def keep_ratio_size(
    height: int, width: int, target: tuple[int, int], *, longest: float, zoom: float = 1.0, stretch: float = 1.0
) -> tuple[int, int]:
    """(height, width) after one factor for both sides, zoomed by ``zoom`` and made ``stretch`` times as wide for its height.

    As timm's ResizeKeepRatio: ``longest`` goes from 0, where the image covers ``target``, to 1, where it fits inside.
    """
    factors = height / target[0], width / target[1]
    factor = max(factors) * longest + min(factors) * (1 - longest)
    root = math.sqrt(stretch)
    return round_half_up(height * zoom / root / factor), round_half_up(width * zoom * root / factor)
