"""Resizing that keeps the shape and stays inside a size."""

from __future__ import annotations

from collections.abc import Sequence

from .._sizes import Size, fit_size
from ._resizing import ResizingTransform


class FitWithin(ResizingTransform):
    """Shrinks images, boxes, masks, keypoints and video, shape kept, until they fit inside ``size``; never enlarges.

    Convention: one side equals the target's and the other is rounded half up, never below 1.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list of them to draw from for each sample; masks are
            resized by nearest.
        antialias: low-pass before shrinking.

    Raises:
        SizeError: a size that is not positive or not whole.
        UnknownNameError: an unknown interpolation.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> FitWithin(100)(torch.zeros(3, 375, 500)).shape, FitWithin(100)(torch.zeros(3, 32, 32)).shape
        (torch.Size([3, 75, 100]), torch.Size([3, 32, 32]))
    """

    def __init__(self, size: Size, *, interpolation: str | Sequence[str] = "bilinear", antialias: bool = True) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        return fit_size(height, width, self.size, enlarge=False)
