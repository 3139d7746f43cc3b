"""The learned resizer in evaluation where it halves the image: its head in one kernel, then one kernel for each convolution.

The account for one image, 448 -> 224 in half precision with 16 channels and one block, counted and not measured:

=================  =====  =======  ==================================================
kernel             MB     GFLOP    registers, shared memory of a program of 8 warps on sm_90
=================  =====  =======  ==================================================
head, fixed skip   3.1    2.5      115, 24 kB: two programs on an SM
3x3 convolutions   12.8   1.2      64, 72 kB: three programs on an SM
tail               2.2    0.4      58, 54 kB: four programs on an SM
=================  =====  =======  ==================================================

MB is what must pass through device memory, each input read once and each result written once; GFLOP is what the matrix units do, zeros of
the windows and of the block-diagonal matrix with it. On sm_90 and sm_100 no kernel spills.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._packing import pack_bias, pack_conv, pack_head, pack_mix, pack_skip

AVAILABLE = importlib.util.find_spec("triton") is not None
_HALF = (torch.float16, torch.bfloat16)
_CHANNELS = (16, 32)
_MAX_IMAGE_CHANNELS = 8


def objection_to_network(
    *, in_channels: int, out_channels: int, channels: int, negative_slope: float, interpolation: str
) -> str | None:
    """Why the kernels do not compute such a network, or None where they do."""
    if channels not in _CHANNELS:
        return f"expected channels=16 or 32, got {channels}"
    if max(in_channels, out_channels) > _MAX_IMAGE_CHANNELS:
        return f"expected images of at most {_MAX_IMAGE_CHANNELS} channels, got {in_channels} -> {out_channels}"
    if interpolation != "bilinear":
        return f"expected interpolation='bilinear', got {interpolation!r}"
    if negative_slope > 1:
        return f"expected a negative_slope of at most 1, got {negative_slope}"
    return None


def objection_to_call(x: Tensor, size: tuple[int, int], weight: Tensor) -> str | None:
    """Why the kernels do not resize ``x`` to ``size``, or None where they do; ``weight`` is any of the network's."""
    if not AVAILABLE:
        return "triton is not installed"
    if x.device.type != "cuda" or torch.version.hip is not None or torch.cuda.get_device_properties(x.device).major < 8:
        return f"expected an image on a CUDA device of compute capability 8.0 or more, got one on {x.device}"
    dtype = computing_dtype(x)
    if dtype not in _HALF:
        return f"expected an image in float16 or bfloat16, or autocast to one of them, got {dtype}"
    if weight.dtype != x.dtype and not torch.is_autocast_enabled("cuda"):
        return f"expected an image in the dtype of the weights, {weight.dtype}, got {x.dtype}"
    if tuple(x.shape[2:]) != (2 * size[0], 2 * size[1]):
        return f"expected a resize by exactly 2, got {tuple(x.shape[2:])} -> {size}"
    if x.shape[0] == 0 or 32 * x.shape[1] * x.shape[2] * x.shape[3] >= 2**31:  # offsets inside an image are 32-bit
        return f"expected at least one image, each small enough for 32-bit offsets, got {tuple(x.shape)}"
    if x.requires_grad and torch.is_grad_enabled():
        return "expected an image that needs no gradient"
    return None


def computing_dtype(x: Tensor) -> torch.dtype:
    """Autocast's dtype, or that of the image."""
    return torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype


def head_layers(head: nn.Module) -> tuple[nn.Conv2d, nn.Conv2d, float]:
    """The 7x7 and the 1x1 convolution of a head, and the slope of the LeakyReLU behind each."""
    wide, activation, mix, _ = head.children()
    return wide, mix, float(activation.negative_slope)  # type: ignore[return-value, arg-type]  # so the learned resizer builds it


def bias_of(convolution: nn.Conv2d) -> Tensor:
    return convolution.weight.new_zeros(convolution.out_channels) if convolution.bias is None else convolution.bias


class Halving(nn.Module):
    """(B, I, 2 h, 2 w) -> (B, O, h, w), equal to the resizer in evaluation up to rounding.

    Args:
        head: the 7x7 convolution, its LeakyReLU, the 1x1 convolution and the same LeakyReLU.
        scale: (n,) of the affine map behind the resize that the head's norm has become.
        shift: (n,) of that map.
        blocks: the two convolutions of each block, with the norms folded in; the same LeakyReLU is between them.
        merge: the convolution behind the blocks, with its norm folded in.
        tail: the 7x7 convolution to the image's channels.
        skip: what follows the fixed resize of the image: nothing, or a 1x1 convolution without bias.
        antialias: of that resize.
    """

    head_weight: Tensor
    head_bias: Tensor
    mix_weight: Tensor
    mix_bias: Tensor
    scale: Tensor
    shift: Tensor
    skip_weight: Tensor

    def __init__(
        self,
        *,
        head: nn.Module,
        scale: Tensor,
        shift: Tensor,
        blocks: Sequence[Sequence[nn.Conv2d]],
        merge: nn.Conv2d,
        tail: nn.Conv2d,
        skip: nn.Module,
        antialias: bool,
    ) -> None:
        super().__init__()
        wide, mix, self.slope = head_layers(head)
        self.antialias = antialias
        self.out_channels = tail.out_channels
        skip_mix = (
            skip.weight[:, :, 0, 0] if isinstance(skip, nn.Conv2d) else torch.eye(wide.in_channels).to(wide.weight)
        )
        packed = {
            "head_weight": pack_head(wide.weight),
            "head_bias": pack_bias(bias_of(wide)),
            "mix_weight": pack_mix(mix.weight),
            "mix_bias": pack_bias(bias_of(mix)),
            "scale": scale,
            "shift": shift,
            "skip_weight": pack_skip(skip_mix, antialias=antialias),
        }
        for name, tensor in packed.items():
            self.register_buffer(name, tensor.detach().clone())
        self.blocks = nn.ModuleList(_Convolution(convolution) for block in blocks for convolution in block)
        self.merge = _Convolution(merge)
        self.tail = _Convolution(tail)

    def objection(self, x: Tensor, size: tuple[int, int]) -> str | None:
        """Why this call is not for the kernels, or None where it is."""
        return objection_to_call(x, size, self.head_weight)

    def forward(self, x: Tensor) -> Tensor:
        from .triton._head import head  # imports triton

        dtype = computing_dtype(x)
        packed = [
            getattr(self, name).to(dtype)
            for name in ("head_weight", "head_bias", "mix_weight", "mix_bias", "scale", "shift", "skip_weight")
        ]
        b, skip = head(x, *packed, self.slope, self.out_channels, self.antialias)
        z: Tensor = b
        for first, second in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            z = second(first(z, slope=self.slope), residual=z)
        planar = x.is_contiguous()
        out: Tensor = self.tail(self.merge(z, residual=b), residual=skip, planar=planar)
        return out if planar else out.permute(0, 3, 1, 2)


class _Convolution(nn.Module):
    """leaky(convolution + bias) + residual, (B, H, W, I) -> (B, H, W, O) or (B, O, H, W)."""

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

        out: Tensor = conv(
            features,
            self.weight.to(features.dtype),
            self.bias.to(features.dtype),
            residual,
            slope,
            self.out_channels,
            planar,
        )
        return out
