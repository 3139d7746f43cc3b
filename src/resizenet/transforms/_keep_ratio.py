"""timm's keep-ratio resize with a jitter of zoom and aspect, for every kind of input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import torch

from .._checks import parse_range
from .._errors import ArgumentError
from .._sizes import Size, keep_ratio_size
from ._resizing import ResizingTransform


class ResizeKeepRatio(ResizingTransform):
    """Resizes images, boxes, masks, keypoints and video by one factor, then zooms and stretches some of them a little.

    After timm's ``ResizeKeepRatio`` with ``random_scale_area=True``; a crop or padding to ``size`` is the next step.

    Convention: like that of a random resized crop, ``scale`` is a share of the AREA that ``size`` will show, so that 0.8 enlarges by 1 / sqrt(0.8).

    Args:
        size: (height, width) in pixels, or one int for a square.
        longest: 0 covers ``size``, as before a crop; 1 fits inside it, as before padding; between them a mean of both factors.
        scale: smallest and largest area shown, of which one is drawn.
        ratio: smallest and largest stretch of width over height, of which one is drawn, evenly in its logarithm.
        scale_probability: share of the samples that are zoomed.
        ratio_probability: share of the samples that are stretched.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list of them to draw from for each sample; masks are
            resized by nearest.
        antialias: low-pass before shrinking.

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: a share outside [0, 1], or a range that is not positive or not in order.
        UnknownNameError: an unknown interpolation.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> ResizeKeepRatio(32)(torch.zeros(3, 60, 80)).shape, ResizeKeepRatio(32, longest=1)(torch.zeros(3, 60, 80)).shape
        (torch.Size([3, 32, 43]), torch.Size([3, 24, 32]))
    """

    def __init__(
        self,
        size: Size,
        *,
        longest: float = 0.0,
        scale: tuple[float, float] = (1.0, 1.0),
        ratio: tuple[float, float] = (1.0, 1.0),
        scale_probability: float = 1.0,
        ratio_probability: float = 1.0,
        interpolation: str | Sequence[str] = "bilinear",
        antialias: bool = True,
    ) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias)
        self.longest = parse_share("longest", longest)
        self.scale = parse_range("scale", scale)
        self.ratio = parse_range("ratio", ratio)
        self.scale_probability = parse_share("scale_probability", scale_probability)
        self.ratio_probability = parse_share("ratio_probability", ratio_probability)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        zooms, zoom_draw, stretches, stretch_draw = torch.rand(4).tolist()
        zoom = (
            (self.scale[0] + zoom_draw * (self.scale[1] - self.scale[0])) ** -0.5
            if zooms < self.scale_probability
            else 1.0
        )
        low, high = map(math.log, self.ratio)
        stretch = math.exp(low + stretch_draw * (high - low)) if stretches < self.ratio_probability else 1.0
        return keep_ratio_size(height, width, self.size, longest=self.longest, zoom=zoom, stretch=stretch)


def parse_share(argument: str, value: object) -> float:
    """A number in [0, 1], else ArgumentError."""
    if not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ArgumentError(f"{argument}: expected a share in [0, 1], got {value!r}")
    return float(value)
