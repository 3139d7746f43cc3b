"""timm's resize that keeps the aspect ratio, with a jitter of zoom and stretch, for every kind of input."""

from __future__ import annotations

import math

import torch

from .._checks import parse_number, parse_range
from .._errors import ArgumentError
from .._sizes import Size, keep_ratio_size
from ..functional._interpolation import Like
from ._base import Interpolations, ResizingTransform
from ._invertible import Invertible


class ResizeKeepRatio(Invertible, ResizingTransform):
    """Resizes images, boxes, masks, keypoints and video by one factor, then zooms and stretches some of them a little.

    Follows timm's ``ResizeKeepRatio`` with ``random_scale_area=True``. Crop or pad to ``size`` afterwards.

    Convention: as in a random resized crop, ``scale`` is a share of the AREA that ``size`` will show, so that 0.8
    enlarges by 1 / sqrt(0.8).

    Args:
        size: (height, width) in pixels, or one int for a square.
        longest: 0 covers ``size``, as before a crop; 1 fits inside it, as before padding; values between them
            interpolate between the two factors.
        scale: (smallest, largest) share of the area that is shown; a value between them is drawn.
        ratio: (smallest, largest) stretch of width over height; a value between them is drawn, uniformly in its
            logarithm.
        scale_probability: share of the samples that are zoomed.
        ratio_probability: share of the samples that are stretched.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list from which one is drawn for
            each sample; masks are resized by nearest.
        antialias: low-pass before shrinking; None is the library's default, which is True for "torch".
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: a share outside [0, 1], a range that is not positive or not in order, or a setting of antialias
            that the library does not have.
        UnknownNameError: an unknown library, or an interpolation that it does not have.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> image = torch.zeros(3, 60, 80)
        >>> ResizeKeepRatio(32)(image).shape, ResizeKeepRatio(32, longest=1)(image).shape
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
        interpolation: Interpolations = "bilinear",
        antialias: bool | None = None,
        like: Like = "torch",
    ) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias, like=like)
        self.longest = parse_number("longest", longest, at_least=0, at_most=1)
        self.scale = parse_range("scale", scale)
        self.ratio = parse_range("ratio", ratio)
        self.scale_probability = parse_number("scale_probability", scale_probability, at_least=0, at_most=1)
        self.ratio_probability = parse_number("ratio_probability", ratio_probability, at_least=0, at_most=1)

    def _deterministic(self) -> ResizeKeepRatio:
        draws = {"scale": self.scale_probability, "ratio": self.ratio_probability}
        drawn = [name for name, chance in draws.items() if chance > 0 and getattr(self, name) != (1.0, 1.0)]
        if drawn:
            raise ArgumentError(
                f"ResizeKeepRatio.inverse: expected a transform that draws nothing, but this one draws {drawn}; put a "
                "GeometryRecord into the sample and call its inverse"
            )
        return self

    def _output_size(self, height: int, width: int) -> tuple[int, int]:
        zoom_chance, zoom_draw, stretch_chance, stretch_draw = torch.rand(4, device="cpu").tolist()
        zoom = stretch = 1.0
        if zoom_chance < self.scale_probability:
            zoom = (self.scale[0] + zoom_draw * (self.scale[1] - self.scale[0])) ** -0.5
        if stretch_chance < self.ratio_probability:
            low, high = map(math.log, self.ratio)
            stretch = math.exp(low + stretch_draw * (high - low))
        return keep_ratio_size(height, width, self.size, longest=self.longest, zoom=zoom, stretch=stretch)
