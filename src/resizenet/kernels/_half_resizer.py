"""The learned resizer in evaluation, if it halves the image: one kernel for the head and one for each convolution.

Counted, not measured, for one image, 448 -> 224 in half precision with 16 channels and one block:

=================  =====  =======
kernel             MB     GFLOP
=================  =====  =======
head, fixed skip   3.1    2.5
3x3 convolutions   12.8   1.2
tail               2.2    0.4
=================  =====  =======

MB is the traffic to device memory if each input is read once and each result is written once. GFLOP is the work of
the matrix units, including the zeros of the windows and of the block-diagonal matrix. docs/measured/speed.md has the
registers, spills and shared memory of the compiled kernels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._layers import bias_of, head_layers
from ._packing import pack_bias, pack_conv, pack_head, pack_mix, pack_skip
from ._support import computing_dtype, why_unsupported_call

_HEAD_WEIGHTS = 7  # then a weight and a bias for each convolution


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

    packed: Tensor

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
        self.channels, self.out_channels = mix.out_channels, tail.out_channels
        convolutions = [*itertools.chain.from_iterable(blocks), merge, tail]
        weights = [
            *(pack_head(wide.weight), pack_bias(bias_of(wide)), pack_mix(mix.weight), pack_bias(bias_of(mix))),
            *(scale, shift, pack_skip(skip, antialias=antialias)),
            *itertools.chain.from_iterable((pack_conv(conv.weight), pack_bias(bias_of(conv))) for conv in convolutions),
        ]
        self.shapes = [weight.shape for weight in weights]
        self.register_buffer("packed", torch.cat([_padded(weight.detach().flatten()) for weight in weights]))

    def why_unsupported(self, x: Tensor, size: tuple[int, int]) -> str | None:
        """The reason why the kernels do not resize ``x`` to ``size``, or None."""
        return why_unsupported_call(x, size, self.packed.dtype)

    def forward(self, x: Tensor) -> Tensor:
        from .triton._conv import conv  # imports triton
        from .triton._head import head

        weights = self._weights(computing_dtype(x))
        b, skip = head(x, *weights[:_HEAD_WEIGHTS], self.slope, self.out_channels, self.antialias)
        *blocks, merge, tail = zip(weights[_HEAD_WEIGHTS::2], weights[_HEAD_WEIGHTS + 1 :: 2], strict=True)
        z: Tensor = b
        for first, second in zip(blocks[::2], blocks[1::2], strict=True):
            hidden = conv(z, *first, None, self.slope, self.channels, planar=False)
            z = conv(hidden, *second, z, 1.0, self.channels, planar=False)
        planar = x.is_contiguous()
        merged = conv(z, *merge, b, 1.0, self.channels, planar=False)
        out: Tensor = conv(merged, *tail, skip, 1.0, self.out_channels, planar=planar)
        return out if planar else out.permute(0, 3, 1, 2)

    def _weights(self, dtype: torch.dtype) -> list[Tensor]:
        """The packed weights, all cast at once."""
        pieces = torch.split(self.packed.to(dtype), [_padded_length(shape.numel()) for shape in self.shapes])
        return [piece[: shape.numel()].view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


def _padded_length(length: int) -> int:
    """The next multiple of 64, so that every weight begins at an address from which Triton loads 16 bytes at once."""
    return -(-length // 64) * 64


def _padded(flat: Tensor) -> Tensor:
    return F.pad(flat, (0, _padded_length(len(flat)) - len(flat)))
