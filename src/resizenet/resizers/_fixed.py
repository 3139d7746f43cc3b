"""The plain resize as a module: the baseline that every learned resizer must beat."""

from __future__ import annotations

from torch import Tensor

from .._sizes import Size
from ..functional._interpolation import Interpolation
from ._base import BaseResizer


class FixedResizer(BaseResizer):
    """Resizes to a fixed size; no parameters.

    Convention: pixel centers at half-integers and antialias on, as in ``functional.resize``, which also lists the
    dtypes.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking.

    Raises:
        SizeError: a size that is not positive or not whole.
        UnknownNameError: an unknown interpolation.

    Example:
        >>> import torch
        >>> FixedResizer(224)(torch.rand(2, 3, 300, 400)).shape
        torch.Size([2, 3, 224, 224])
    """

    def __init__(self, size: Size, *, interpolation: Interpolation = "bilinear", antialias: bool = True) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias)

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self._plain(x, size)
