"""A learned resampling filter: the cheapest resizer that can keep what a fixed low-pass throws away."""

from __future__ import annotations

from torch import Tensor, nn

from .._errors import ArgumentError, check_positive
from .._sizes import Size
from ..functional import resize
from ._base import LearnedResizer


class LinearResizer(LearnedResizer):
    """The fixed resize plus a learned strided convolution on a finer resize of the same image.

    ``resize(x, size) + conv(resize(x, oversample * size))``, where the convolution has stride ``oversample`` and starts at
    zero: at first the output is the fixed resize, later any linear filter of ``kernel_size`` taps at the finer resolution,
    mixed over channels. At the defaults it has 147 parameters.

    Convention: the fixed parts are those of ``functional.resize``; the convolution pads with zeros, centred on the output's pixel.

    Args:
        size: (height, width) in pixels, or one int for a square.
        in_channels: channels of the image.
        out_channels: channels of the result, ``in_channels`` unless given; see ``Resizer`` for how the skip then starts.
        oversample: how much finer than ``size``, per axis, the convolution sees the image.
        kernel_size: of the convolution, in pixels of the finer image; ``kernel_size - oversample`` is even and not negative.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking.

    Raises:
        ArgumentError: a number outside its range.

    Example:
        >>> import torch
        >>> resizer = LinearResizer(16)
        >>> resizer(torch.rand(2, 3, 32, 48)).shape
        torch.Size([2, 3, 16, 16])
        >>> sum(p.numel() for p in resizer.parameters())
        147
    """

    def __init__(
        self,
        size: Size,
        *,
        in_channels: int = 3,
        out_channels: int | None = None,
        oversample: int = 2,
        kernel_size: int = 4,
        interpolation: str = "bilinear",
        antialias: bool = True,
    ) -> None:
        super().__init__(size, in_channels=in_channels, out_channels=out_channels, interpolation=interpolation, antialias=antialias)
        check_positive("oversample", oversample)
        check_positive("kernel_size", kernel_size)
        margin = kernel_size - oversample
        if margin < 0 or margin % 2:
            raise ArgumentError(f"kernel_size: expected {oversample} (oversample) plus an even number, got {kernel_size}")
        self.oversample = oversample
        self.conv = nn.Conv2d(self.in_channels, self.out_channels, kernel_size, stride=oversample, padding=margin // 2)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]  # bias=True above

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        finer = (self.oversample * size[0], self.oversample * size[1])
        residual: Tensor = self.conv(resize(x, finer, interpolation=self.interpolation, antialias=self.antialias))
        return self._plain(x, size) + residual
