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


@dataclass(frozen=True)
class View:
    """A canvas that shows a source image; pairs are (vertical, horizontal).

    A point of the source at (y, x) is at (y, x) * scale + offset on the canvas, where pixel i spans i to i + 1.

    Attributes:
        source: (height, width) of the source image.
        canvas: (height, width) of the canvas.
        scale: canvas pixels per source pixel; negative along an axis that is mirrored.
        offset: position of the source's corner on the canvas.
    """

    source: tuple[int, int]
    canvas: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def resize(self, size: tuple[int, int]) -> View:
        """The view after a resize of the canvas."""
        rows, columns = size[0] / self.canvas[0], size[1] / self.canvas[1]
        scale = self.scale[0] * rows, self.scale[1] * columns
        return View(self.source, size, scale, (self.offset[0] * rows, self.offset[1] * columns))

    def crop(self, top: int, left: int, height: int, width: int) -> View:
        """The view after a crop of the canvas; pixels outside of the canvas are padding."""
        return View(self.source, (height, width), self.scale, (self.offset[0] - top, self.offset[1] - left))

    def center_crop(self, height: int, width: int) -> View:
        """The view after torchvision's center crop, which pads first and rounds halves to even."""
        view = self
        for axis, length in enumerate((height, width)):
            missing = length - view.canvas[axis]
            start = -(missing // 2) if missing > 0 else round(-missing / 2)
            view = view.crop(start, 0, length, view.canvas[1]) if axis == 0 else view.crop(0, start, height, length)
        return view

    def flip(self, axis: int) -> View:
        """The view after mirroring axis 0 (up and down) or 1 (left and right)."""
        scale, offset = list(self.scale), list(self.offset)
        scale[axis], offset[axis] = -scale[axis], self.canvas[axis] - offset[axis]
        return View(self.source, self.canvas, (scale[0], scale[1]), (offset[0], offset[1]))

    def seen(self, axis: int) -> tuple[int, int]:
        """The first source pixel whose center is on the canvas, and how many there are."""
        ends = sorted((edge - self.offset[axis]) / self.scale[axis] for edge in (0, self.canvas[axis]))
        first, end = (min(max(math.ceil(edge - 0.5 - _TINY), 0), self.source[axis]) for edge in ends)
        return first, end - first

    def content(self, axis: int) -> tuple[int, int] | None:
        """The start and length of the whole source on the canvas, None unless both are whole pixels."""
        start, length = self.offset[axis], self.source[axis] * self.scale[axis]
        if max(abs(start - round(start)), abs(length - round(length))) > _TINY:
            return None
        return round(start), round(length)


_TINY = 1e-6  # pixels: far above the rounding of a few products, far below the distance from a center to an edge
