"""The learned resizer for inference: no norm at input resolution, nothing that a convolution can absorb."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import TypeGuard

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .._checks import check_choice
from .._errors import ArgumentError, UnsupportedModelError
from ..kernels import Halving, agrees, computing_dtype, objection_to_network, pattern
from ._base import LearnedResizer, in_channels_last
from ._learned import KERNELS, Resizer, resize_features

# On a CPU the features of so many bytes stay in the cache between one operation and the next.
_CPU_CHUNK_BYTES = 16 * 2**20


class FusedResizer(LearnedResizer):
    """What ``Resizer.fuse()`` returns: equal to the resizer in eval mode up to rounding, and faster.

    BatchNorms are folded into the convolution before them; the one before the resize, where there is no such convolution, becomes an
    affine map behind the resize, which commutes with it because the weights of a resize sum to 1. GroupNorms stay, but the one
    before the resize keeps only its statistics there. The last convolution, whose few channels leave matrix units idle, makes four
    neighbouring pixels at once. On a CPU the images go through in chunks that fit the cache.

    Its own weights are always in channels_last; the result is so where ``x`` or the weights of the resizer are.

    Args:
        resizer: copied; its mode does not matter.
        kernels: as in ``Resizer.fuse``.

    Raises:
        ArgumentError: ``kernels="always"`` for a network that the Triton kernels do not compute.
        UnknownNameError: another word.
        UnsupportedModelError: as in ``Resizer.fuse``.
    """

    def __init__(self, resizer: Resizer, *, kernels: str = "auto") -> None:
        super().__init__(
            resizer.size,
            in_channels=resizer.in_channels,
            out_channels=resizer.out_channels,
            interpolation=resizer.interpolation,
            antialias=resizer.antialias,
        )
        resizer = copy.deepcopy(resizer).eval()
        self.channels_last = in_channels_last(resizer.tail.weight)
        self.channels = resizer.tail.in_channels
        self.skip = resizer.skip
        self.head = resizer.head
        self.norm = _behind_resize(resizer.norm)
        self.blocks = nn.ModuleList(_fold(block) for block in resizer.blocks)
        self.merge = _fold(resizer.merge)
        self.tail = _Phases(resizer.tail)
        check_choice("kernels", kernels, KERNELS)
        self.kernels = kernels
        self.agreed: dict[Hashable, bool] = {}
        self.halving = None if kernels == "never" else self._make_halving(resizer)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def fuse(self) -> FusedResizer:
        """A copy."""
        return copy.deepcopy(self)

    def _make_halving(self, resizer: Resizer) -> Halving | None:
        """The kernels with this network's weights, or None where they do not compute such a network."""
        objection = objection_to_network(
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            channels=self.channels,
            negative_slope=resizer.negative_slope,
            interpolation=self.interpolation,
        )
        kept = [
            layer
            for part in (self.norm, *self.blocks, self.merge)
            for layer in part.children()
            if not isinstance(layer, (nn.Conv2d, nn.LeakyReLU))
        ]
        if kept:
            objection = f"expected norm='batch' or 'none', got {kept[0]}"
        if objection is None:
            ones = resizer.tail.weight.new_ones(self.channels)
            scale, shift = (
                (self.norm.scale.flatten(), self.norm.shift.flatten())
                if isinstance(self.norm, _Affine)
                else (ones, 0 * ones)
            )
            (merge,) = _convolutions(self.merge)
            blocks = [_convolutions(block) for block in self.blocks]
            return Halving(
                head=self.head,
                scale=scale,
                shift=shift,
                blocks=blocks,
                merge=merge,
                tail=resizer.tail,
                skip=self.skip,
                antialias=self.antialias,
            )
        if self.kernels == "always":
            raise ArgumentError(f"kernels='always' is not for this network: {objection}")
        return None

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if self.halving is not None:
            objection = self.halving.objection(x, size)
            if objection is None and (self.kernels == "always" or self._kernels_agree(x)):
                return self._in_format(self.halving(x), x)
            if self.kernels == "always":
                raise ArgumentError(f"kernels='always' is not for this call: {objection}")
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            image_bytes = self.channels * x.shape[2] * x.shape[3] * x.element_size()
            return torch.cat(
                [self._compute(chunk, size) for chunk in torch.split(x, max(1, _CPU_CHUNK_BYTES // image_bytes))]
            )
        return self._compute(x, size)

    def _kernels_agree(self, x: Tensor) -> bool:
        """Whether this network's kernels give what plain torch gives, for images like these."""
        halving, corner = self.halving, x[:1, :, :64, :96]
        assert halving is not None
        size, key = (corner.shape[2] // 2, corner.shape[3] // 2), (x.device, computing_dtype(x), x.is_contiguous())
        return agrees(self.agreed, key, lambda: halving(pattern(corner)), lambda: self._compute(pattern(corner), size))

    def _compute(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        features = self.head(x)
        b = self.norm(resize_features(features, size, self.interpolation, self.antialias), features)
        z = b
        for block in self.blocks:
            z = block(z).add_(z)
        out: Tensor = self.tail(self.merge(z).add_(b)).add_(self._plain(x, size))
        return self._in_format(out, x)

    def _in_format(self, out: Tensor, x: Tensor) -> Tensor:
        """The result of ``x`` in its memory format, or in channels_last where the resizer's weights were; without gaps, which an odd size leaves."""
        channels_last = self.channels_last or (
            not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        )
        return out.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


class _Affine(nn.Module):
    """BatchNorm in eval mode as scale and shift per channel."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = (norm.weight, norm.bias) if norm.affine else (1, 0)
        scale = weight * (norm.running_var + norm.eps).rsqrt()
        self.register_buffer("scale", rearrange(scale.detach(), "c -> c 1 1"))
        self.register_buffer("shift", rearrange((bias - norm.running_mean * scale).detach(), "c -> c 1 1"))

    def forward(self, resized: Tensor, features: Tensor) -> Tensor:
        return torch.addcmul(self.shift.to(resized.dtype), resized, self.scale.to(resized.dtype))


class _GroupAffine(nn.Module):
    """GroupNorm with the statistics of the features and its affine map on the resized ones."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, resized: Tensor, features: Tensor) -> Tensor:
        if resized.shape[0] == 0:
            return resized  # var_mean warns about an empty batch
        norm = self.norm
        groups = rearrange(features, "b (g c) h w -> b g (c h w)", g=norm.num_groups)
        variance, mean = torch.var_mean(groups.to(torch.promote_types(groups.dtype, torch.float32)), 2, correction=0)
        variance, mean = (
            repeat(moment, "b g -> b (g c)", c=norm.num_channels // norm.num_groups) for moment in (variance, mean)
        )
        scale = norm.weight * (variance + norm.eps).rsqrt()
        shift = norm.bias - mean * scale
        scale, shift = (rearrange(term, "b c -> b c 1 1").to(resized.dtype) for term in (scale, shift))
        return torch.addcmul(shift, resized, scale)


class _NoNorm(nn.Module):
    def forward(self, resized: Tensor, features: Tensor) -> Tensor:
        return resized


class _Phases(nn.Module):
    """A convolution of stride 1 as one of stride 2 with four times the channels, one for each pixel of a 2x2 block."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        out_channels, in_channels, kernel, _ = convolution.weight.shape
        weight = convolution.weight.new_zeros(2, 2, out_channels, in_channels, kernel + 1, kernel + 1)
        for row in range(2):
            for column in range(2):
                weight[row, column, :, :, row : row + kernel, column : column + kernel] = convolution.weight.detach()
        self.margin = kernel // 2
        self.weight = nn.Parameter(rearrange(weight, "y x o i h w -> (y x o) i h w"))
        self.bias = nn.Parameter(repeat(convolution.bias.detach(), "o -> (y x o)", y=2, x=2))  # type: ignore[union-attr]  # the tail has one

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        even = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x  # a pad by nothing copies
        phases = F.conv2d(even, self.weight, self.bias, stride=2, padding=self.margin)
        pixels = rearrange(
            phases, "b (y x o) h w -> b (h y) (w x) o", y=2, x=2
        )  # channels last: each row of a block moves as a whole
        return rearrange(pixels, "b h w o -> b o h w")[:, :, :height, :width]


def _convolutions(layers: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in layers.children() if isinstance(layer, nn.Conv2d)]


def _has_statistics(layer: nn.Module) -> TypeGuard[_BatchNorm]:
    """Whether it is a BatchNorm, synchronised or not, that is an affine map in evaluation; a subclass may do more, such as an activation."""
    plain = isinstance(layer, _BatchNorm) and type(layer).forward in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
    return plain and layer.running_mean is not None and layer.running_var is not None


def _behind_resize(norm: nn.Module) -> nn.Module:
    """What the norm before the resize becomes behind it."""
    if _has_statistics(norm):
        return _Affine(norm)
    if isinstance(norm, nn.GroupNorm) and norm.affine:
        return _GroupAffine(norm)
    if isinstance(norm, nn.Identity):
        return _NoNorm()
    raise UnsupportedModelError(
        f"fuse: expected the norm before the resize to be a BatchNorm with running statistics, a GroupNorm with weights or none, got {norm}"
    )


def _fold(layers: nn.Module) -> nn.Sequential:
    """Every BatchNorm of a sequence folded into the convolution before it; other layers as they are."""
    folded: list[nn.Module] = []
    for layer in layers.children():
        if isinstance(layer, _BatchNorm) and not _has_statistics(layer):
            raise UnsupportedModelError(f"fuse: expected BatchNorms with running statistics, got {layer}")
        if isinstance(layer, _BatchNorm) and folded and isinstance(folded[-1], nn.Conv2d):
            folded[-1] = fuse_conv_bn_eval(folded[-1], layer)
        elif not isinstance(layer, nn.Identity):
            folded.append(layer)
    return nn.Sequential(*folded)
