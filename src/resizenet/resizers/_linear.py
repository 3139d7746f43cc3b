"""A learned resampling filter: a cheap resizer that can keep what a fixed low-pass removes."""

from __future__ import annotations

import torch
from einops import einsum
from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import check_positive
from .._errors import ArgumentError
from .._modules import copy_model
from .._sizes import Size
from ..functional import resize, resize_matrix
from ..functional._interpolation import Interpolation
from ..functional._memory_format import memory_format_of
from ..kernels import has_hooks, is_plain_mixing
from ._base import LearnedResizer
from ._network import is_size


class LinearResizer(LearnedResizer):
    """The fixed resize plus a learned strided convolution on a finer resize of the same image.

    ``resize(x, size) + conv(resize(x, oversample * size))``, where the convolution has stride ``oversample`` and starts
    at zero: at first the output is the fixed resize. Training can add any linear filter of ``kernel_size`` taps per
    axis at the finer resolution, mixed over channels. At the defaults the resizer has 147 parameters.

    Convention: the fixed parts are those of ``functional.resize``. The convolution pads with zeros and is centered on
    the output's pixel.

    Args:
        size: (height, width) in pixels, or one int for a square.
        in_channels: channels of the image.
        out_channels: channels of the result, ``in_channels`` unless given; see ``Resizer`` for how the skip then
            starts.
        oversample: the convolution reads an image of ``oversample`` times ``size`` pixels per axis.
        kernel_size: kernel size of the convolution, in pixels of the finer image; ``kernel_size - oversample`` is even
            and not negative.
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

    taps: Tensor | None
    joint_weight: Tensor | None

    def __init__(
        self,
        size: Size,
        *,
        in_channels: int = 3,
        out_channels: int | None = None,
        oversample: int = 2,
        kernel_size: int = 4,
        interpolation: Interpolation = "bilinear",
        antialias: bool = True,
    ) -> None:
        super().__init__(
            size, in_channels=in_channels, out_channels=out_channels, interpolation=interpolation, antialias=antialias
        )
        check_positive("oversample", oversample)
        check_positive("kernel_size", kernel_size)
        margin = kernel_size - oversample
        if margin < 0 or margin % 2:
            raise ArgumentError(
                f"kernel_size: expected {oversample} (oversample) plus an even number, got {kernel_size}"
            )
        self.oversample = oversample
        self.conv = nn.Conv2d(self.in_channels, self.out_channels, kernel_size, stride=oversample, padding=margin // 2)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]  # bias=True above
        self.register_buffer("taps", None)  # both are set by fuse()
        self.register_buffer("joint_weight", None)

    def fuse(self) -> LinearResizer:
        """Return a copy for inference: one strided convolution for inputs of exactly ``oversample`` times the size.

        Other sizes are computed as before. So are "nearest-exact", and "bicubic" without antialias, which repeats the
        border pixel in a way that a convolution cannot reproduce.
        """
        fused = copy_model(self, operation="fuse").eval().requires_grad_(False)
        has_filter = self.interpolation == "bilinear" or (self.interpolation == "bicubic" and self.antialias)
        if has_filter and self._is_as_built():
            fused.taps = self._fixed_taps()
            fused.joint_weight = self._joint_weight(fused.taps)
        return fused

    def _is_as_built(self) -> bool:
        """Whether the layers are those of the constructor; False if some were replaced by hand."""
        conv, stride = self.conv, (self.oversample, self.oversample)
        margin = (conv.kernel_size[0] - self.oversample) // 2
        numbers = (conv.kernel_size[1], conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
        expected = (conv.kernel_size[0], stride, (margin, margin), (1, 1), 1, "zeros")
        return type(conv) is nn.Conv2d and not has_hooks(conv) and numbers == expected and is_plain_mixing(self.skip)

    def _fixed_taps(self) -> Tensor:
        """The fixed resize of one axis as a filter, centered on the ``oversample`` pixels of a result."""
        row = resize_matrix(
            9 * self.oversample,
            9,
            interpolation=self.interpolation,
            antialias=self.antialias,
            dtype=torch.float64,
            device="cpu",
        )[4]
        margin = min(int(row.nonzero()[0]), 4 * self.oversample)  # symmetric, and at least as wide as the stride
        return row[margin : len(row) - margin].to(self.conv.weight)

    def _joint_weight(self, taps: Tensor) -> Tensor:
        """(2 * out_channels, in_channels, k, k): the fixed resize with its 1x1 skip, then the learned filter."""
        learned = self.conv.weight.detach()
        fixed = einsum(self._skip_matrix(learned), taps, taps, "o i, h, w -> o i h w")
        width = max(fixed.shape[-1], learned.shape[-1])
        joint = torch.cat([F.pad(filters, [(width - filters.shape[-1]) // 2] * 4) for filters in (fixed, learned)])
        return joint.contiguous(memory_format=memory_format_of(learned))

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        finer = (self.oversample * size[0], self.oversample * size[1])
        if self.taps is not None and self.joint_weight is not None and is_size(x, finer):
            return self._forward_jointly(x, size, self.taps, self.joint_weight)
        residual: Tensor = self.conv(resize(x, finer, interpolation=self.interpolation, antialias=self.antialias))
        return residual + self._plain(x, size)  # in the memory format of the first

    def _forward_jointly(self, x: Tensor, size: tuple[int, int], taps: Tensor, joint_weight: Tensor) -> Tensor:
        """Both filters at once; the fixed one is renormalized at the border, as in ``functional.resize``."""
        margin = (joint_weight.shape[-1] - self.oversample) // 2
        fixed, learned = F.conv2d(x, joint_weight, stride=self.oversample, padding=margin).chunk(2, 1)
        inside = [_share_inside(taps, length, self.oversample) for length in size]
        share = (inside[0][:, None] * inside[1]).to(fixed.dtype)
        if self.conv.bias is not None:
            learned = learned + self.conv.bias[:, None, None].to(learned.dtype)
        return torch.addcdiv(learned, fixed, share)


def _share_inside(taps: Tensor, length: int, stride: int) -> Tensor:
    """(length,): the sum of the taps inside the image at each position, for a filter that sums to 1."""
    ones = taps.new_ones(1, 1, length * stride)
    return F.conv1d(ones, taps[None, None], stride=stride, padding=(len(taps) - stride) // 2)[0, 0]
