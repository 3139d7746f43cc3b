"""The learned resizer in evaluation, if it halves the image: one kernel for the head and one for each convolution.

Counted, not measured, for one image, 448 -> 224 in half precision with 16 channels and one block:

=================  =====  =======  ==========================================================
kernel             MB     GFLOP    registers and shared memory of a program of 8 warps, sm_90
=================  =====  =======  ==========================================================
head, fixed skip   3.1    2.5      115, 24 kB: two programs on an SM
3x3 convolutions   12.8   1.2      64, 72 kB: three programs on an SM
tail               2.2    0.4      58, 54 kB: four programs on an SM
=================  =====  =======  ==========================================================

MB is the traffic to device memory if each input is read once and each result is written once. GFLOP is the work of
the matrix units, including the zeros of the windows and of the block-diagonal matrix. No kernel spills on sm_90 and
sm_100.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ._layers import bias_of, head_layers
from ._packing import pack_bias, pack_conv, pack_head, pack_mix, pack_skip
from ._support import computing_dtype, why_unsupported_call


class TritonHalfResizer(nn.Module):
    """(B, I, 2 h, 2 w) -> (B, O, h, w), equal to the resizer in evaluation up to rounding.

    Args:
        head: the 7x7 convolution, its LeakyReLU, the 1x1 convolution and the same LeakyReLU.
        scale: (n,), multiplier per channel behind the resize; with ``shift``, the norm of the head.
        shift: (n,), added after the multiplication.
        blocks: the two convolutions of each block, with the norms folded in; the same LeakyReLU is between them.
        merge: the convolution behind the blocks, with its norm folded in.
        tail: the 7x7 convolution to the image's channels.
        skip: (O, I), the 1x1 convolution behind the fixed resize of the image.
        antialias: whether the fixed resize is antialiased.
    """

    head_weight: Tensor

    def __init__(
        self,
        *,
        head: nn.Module,
        scale: Tensor,
        shift: Tensor,
        blocks: Sequence[Sequence[nn.Conv2d]],
        merge: nn.Conv2d,
        tail: nn.Conv2d,
        skip: Tensor,
        antialias: bool,
    ) -> None:
        super().__init__()
        wide, mix, self.slope = head_layers(head)
        self.antialias = antialias
        self.out_channels = tail.out_channels
        packed = {
            "head_weight": pack_head(wide.weight),
            "head_bias": pack_bias(bias_of(wide)),
            "mix_weight": pack_mix(mix.weight),
            "mix_bias": pack_bias(bias_of(mix)),
            "scale": scale,
            "shift": shift,
            "skip_weight": pack_skip(skip, antialias=antialias),
        }
        self.packed = tuple(packed)
        for name, tensor in packed.items():
            self.register_buffer(name, tensor.detach().clone())
        self.blocks = nn.ModuleList(_TritonConv(convolution) for block in blocks for convolution in block)
        self.merge = _TritonConv(merge)
        self.tail = _TritonConv(tail)

    def why_unsupported(self, x: Tensor, size: tuple[int, int]) -> str | None:
        """The reason why the kernels do not resize ``x`` to ``size``, or None."""
        return why_unsupported_call(x, size, self.head_weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        from .triton._head import head  # imports triton

        packed = [getattr(self, name).to(computing_dtype(x)) for name in self.packed]
        b, skip = head(x, *packed, self.slope, self.out_channels, self.antialias)
        z: Tensor = b
        for first, second in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            z = second(first(z, slope=self.slope), residual=z)
        planar = x.is_contiguous()
        out: Tensor = self.tail(self.merge(z, residual=b), residual=skip, planar=planar)
        return out if planar else out.permute(0, 3, 1, 2)


class _TritonConv(nn.Module):
    """leaky(convolution + bias) + residual, (B, H, W, I) -> (B, H, W, O) or, if ``planar``, (B, O, H, W)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.out_channels = convolution.out_channels
        self.register_buffer("weight", pack_conv(convolution.weight).detach())
        self.register_buffer("bias", pack_bias(bias_of(convolution)).detach())

    def forward(
        self, features: Tensor, *, residual: Tensor | None = None, slope: float = 1.0, planar: bool = False
    ) -> Tensor:
        from .triton._conv import conv  # imports triton

        weight, bias = self.weight.to(features.dtype), self.bias.to(features.dtype)
        out: Tensor = conv(features, weight, bias, residual, slope, self.out_channels, planar)
        return out
