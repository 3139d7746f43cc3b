"""Resizing to a size: exactly, until it is covered, or until the image fits inside. Each class defines the new size."""

from __future__ import annotations

from .._sizes import cover_size, fit_size
from ._base import ResizingTransform
from ._invertible import Invertible


class Stretch(Invertible, ResizingTransform):
    """Resizes images, boxes, masks, keypoints and video to exactly ``size``; the aspect ratio is not kept.

    This differs from torchvision's ``Resize((height, width))`` in four ways: masks stay aligned with their images to
    the pixel, integer boxes are rounded rather than truncated, results one pixel wide are right, and the interpolation
    may be drawn.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list from which one is drawn for
            each sample; masks are resized by nearest.
        antialias: low-pass before shrinking; None is the library's default, which is True for "torch".
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Raises:
        SizeError: a size that is not positive or not whole.
        UnknownNameError: an unknown library, or an interpolation that it does not have.
        ArgumentError: a setting of antialias that the library does not have.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> Stretch((5, 7))(torch.zeros(3, 20, 31)).shape
        torch.Size([3, 5, 7])
    """

    def _output_size(self, height: int, width: int) -> tuple[int, int]:
        return self.size


class ResizeToCover(Invertible, ResizingTransform):
    """Resizes images, boxes, masks, keypoints and video to the smallest size that covers ``size``.

    Keeps the aspect ratio; for a square ``size`` this sets the shorter side. Arguments and errors are those of
    ``Stretch``.

    Convention: the longer side is rounded half up and covers the target; torchvision's ``Resize(size)`` floors it.

    Example:
        >>> import torch
        >>> from torchvision import tv_tensors
        >>> ResizeToCover(10)(tv_tensors.Image(torch.zeros(3, 20, 31))).shape
        torch.Size([3, 10, 16])
    """

    def _output_size(self, height: int, width: int) -> tuple[int, int]:
        return cover_size(height, width, self.size)


class FitWithin(Invertible, ResizingTransform):
    """Shrinks images, boxes, masks, keypoints and video until they fit inside ``size``; keeps the aspect ratio.

    Never enlarges. Arguments and errors are those of ``Stretch``.

    Convention: one side equals the target's and the other is rounded half up, never below 1.

    Example:
        >>> import torch
        >>> FitWithin(100)(torch.zeros(3, 375, 500)).shape, FitWithin(100)(torch.zeros(3, 32, 32)).shape
        (torch.Size([3, 75, 100]), torch.Size([3, 32, 32]))
    """

    def _output_size(self, height: int, width: int) -> tuple[int, int]:
        return fit_size(height, width, self.size, enlarge=False)
