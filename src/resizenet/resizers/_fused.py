"""The learned resizer for inference: norms are folded into convolutions or moved behind the resize."""

from __future__ import annotations

import copy
from typing import TypeGuard

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .._checks import check_choice
from .._errors import ArgumentError, UnsupportedModelError
from .._modules import copy_model
from .._sizes import Size
from ..functional._fx import fx_leaf, is_proxy
from ..functional._interpolation import Interpolation
from ..functional._memory_format import is_channels_last
from ..kernels import (
    DEFAULT,
    KERNELS,
    Kernels,
    TritonHalfResizer,
    has_hooks,
    is_plain_convolution,
    pack_phases,
    why_unsupported_network,
)
from ._base import LearnedResizer
from ._network import affine_map, apply_affine, check_enough_values, resize_features, uses_batch_statistics

_CPU_CHUNK_BYTES = 16 * 2**20  # features of this size stay in a CPU's cache between one operation and the next


class FusedResizer(LearnedResizer):
    """What ``Resizer.fuse()`` returns: equal to the resizer in eval mode up to rounding, and faster.

    Each BatchNorm is folded into the convolution before it. The BatchNorm before the resize has no convolution directly
    before it, so it becomes an affine map behind the resize. An affine map commutes with a resize, because the weights
    of a resize sum to 1. GroupNorms are not folded. The GroupNorm before the resize computes its statistics there, and
    its affine map is applied behind the resize. The last convolution, whose few channels leave matrix units idle,
    computes four neighboring pixels at once. On a CPU the images are processed in chunks that fit the cache.

    The weights of this module are always in channels_last. The result is in channels_last if ``x`` or the weights of
    the resizer are.

    Args:
        size: (height, width) in pixels, or one int for a square.
        head: the head of a ``Resizer``. The next five arguments are also its parts. All are copied, and it does not
            matter whether they are in train or eval mode.
        norm: the norm before the resize.
        blocks: the residual blocks.
        merge: the convolution and norm behind the blocks.
        tail: the last convolution.
        skip: the 1x1 convolution behind the fixed resize, or an Identity.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking.
        kernels: as in ``Resizer.fuse``.

    Raises:
        ArgumentError: ``kernels="always"`` for a network that the Triton kernels do not support.
        UnknownNameError: an unknown value of ``kernels``.
        UnsupportedModelError: as in ``Resizer.fuse``.
    """

    def __init__(
        self,
        size: Size,
        *,
        head: nn.Sequential,
        norm: nn.Module,
        blocks: nn.ModuleList,
        merge: nn.Sequential,
        tail: nn.Conv2d,
        skip: nn.Module,
        interpolation: Interpolation = "bilinear",
        antialias: bool = True,
        kernels: Kernels = DEFAULT,
    ) -> None:
        check_choice("kernels", kernels, KERNELS)
        parts = copy_model(nn.ModuleList([head, norm, blocks, merge, tail, skip]), operation="fuse").eval()
        first, last = _first_and_last(parts)
        channels = {"in_channels": first.in_channels, "out_channels": last.out_channels}
        super().__init__(size, **channels, interpolation=interpolation, antialias=antialias)
        head, norm, blocks, merge, tail, skip = parts  # type: ignore[assignment]  # the same in a copy
        self.channels = tail.in_channels
        self.channels_last = is_channels_last(tail.weight)
        self.head = head
        self.norm = _behind_resize(norm)
        self.blocks = nn.ModuleList(_fold(block) for block in blocks)
        self.merge = _fold(merge)
        self.tail = _PhaseConv(tail) if is_plain_convolution(tail) else tail
        self.skip = skip
        self.kernels = kernels
        self.half_resizer = None if kernels == "never" else self._make_half_resizer(tail)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def fuse(self) -> FusedResizer:
        """Return a copy."""
        return copy.deepcopy(self)

    def _make_half_resizer(self, tail: nn.Conv2d) -> TritonHalfResizer | None:
        """The kernels with this network's weights, or None if they do not support it."""
        reason = self._why_unsupported(tail)
        if reason is None:
            ones = tail.weight.new_ones(tail.in_channels)
            return TritonHalfResizer(
                head=self.head,
                scale=self.norm.scale if isinstance(self.norm, _Affine) else ones,
                shift=self.norm.shift if isinstance(self.norm, _Affine) else 0 * ones,
                blocks=[_convolutions(block) for block in self.blocks],
                merge=_convolutions(self.merge)[0],
                tail=tail,
                skip=self._skip_matrix(tail.weight),
                antialias=self.antialias,
            )
        if self.kernels == "always":
            raise ArgumentError(f"kernels='always' does not support this network: {reason}")
        return None

    def _why_unsupported(self, tail: nn.Module) -> str | None:
        if isinstance(self.norm, _GroupAffine):
            return f"expected norm='batch' or 'none', got {self.norm.norm}"
        return why_unsupported_network(
            head=self.head,
            blocks=list(self.blocks),
            merge=self.merge,
            tail=tail,
            skip=self.skip,
            interpolation=self.interpolation,
        )

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        check_enough_values(self, x, size)
        if self.half_resizer is not None and not is_proxy(x):
            reason = self.half_resizer.why_unsupported(x, size)
            if reason is None:
                out: Tensor = self.half_resizer(x)
                return self._in_format_for(out, x)
            if self.kernels == "always":
                raise ArgumentError(f"kernels='always' does not support this call: {reason}")
        if is_proxy(x) or x.device.type != "cpu" or torch.compiler.is_compiling():
            return self._compute(x, size)
        image_bytes = self.channels * x.shape[2] * x.shape[3] * x.element_size()
        chunks = torch.split(x, max(1, _CPU_CHUNK_BYTES // image_bytes))
        return torch.cat([self._compute(chunk, size) for chunk in chunks])

    def _compute(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        features = self.head(x)
        resized = resize_features(features, size, interpolation=self.interpolation, antialias=self.antialias)
        b = self.norm(resized, features)
        z = b
        for block in self.blocks:
            z = block(z) + z
        out: Tensor = self._plain(x, size) + self.tail(self.merge(z) + b)
        return self._in_format_for(out, x)

    def _has_channels_last_weights(self) -> bool:
        """Whether the weights of the ``Resizer`` were; those of its fused copy always are."""
        return self.channels_last


class _Affine(nn.Module):
    """BatchNorm in eval mode as scale and shift per channel."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale, shift = affine_map(norm, norm.running_var, norm.running_mean)
        self.register_buffer("scale", scale.detach())
        self.register_buffer("shift", shift.detach())

    def forward(self, resized: Tensor, features: Tensor) -> Tensor:
        return apply_affine(resized, self.scale, self.shift)


class _GroupAffine(nn.Module):
    """GroupNorm with the statistics of the features and its affine map on the resized ones."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, resized: Tensor, features: Tensor) -> Tensor:
        variance, mean = _group_moments(features, self.norm.num_groups)
        return apply_affine(resized, *affine_map(self.norm, variance, mean))


@fx_leaf
def _group_moments(features: Tensor, num_groups: int) -> Tensor:
    """(2, B, C): the variance and the mean of each channel's group, at least in float32."""
    groups = rearrange(features, "b (g c) h w -> b g (c h w)", g=num_groups)
    groups = groups.to(torch.promote_types(groups.dtype, torch.float32))
    if groups.shape[0] == 0:  # var_mean warns about an empty batch
        return groups.new_empty(2, *features.shape[:2])
    moments = torch.stack(torch.var_mean(groups, 2, correction=0))
    return repeat(moments, "two b g -> two b (g c)", c=features.shape[1] // num_groups)


class _NoNorm(nn.Module):
    def forward(self, resized: Tensor, features: Tensor) -> Tensor:
        return resized


class _PhaseConv(nn.Module):
    """A convolution of stride 1 as one of stride 2 with four times the channels, one for each pixel of a 2x2 block."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.margin = convolution.kernel_size[0] // 2
        self.weight = nn.Parameter(rearrange(pack_phases(convolution.weight.detach()), "y x o i h w -> (y x o) i h w"))
        bias = None if convolution.bias is None else repeat(convolution.bias.detach(), "o -> (y x o)", y=2, x=2)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return _convolve_phases(x, self.weight, self.bias, margin=self.margin)


@fx_leaf
def _convolve_phases(x: Tensor, weight: Tensor, bias: Tensor | None, *, margin: int) -> Tensor:
    height, width = x.shape[2:]
    even = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x  # F.pad by 0 copies
    phases = F.conv2d(even, weight, bias, stride=2, padding=margin)
    # via channels last, where each row of a block moves as a whole
    pixels = rearrange(phases, "b (y x o) h w -> b (h y) (w x) o", y=2, x=2)
    return rearrange(pixels, "b h w o -> b o h w")[:, :, :height, :width]


def _convolutions(layers: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in layers.children() if isinstance(layer, nn.Conv2d)]


def _is_affine_in_eval(layer: nn.Module) -> TypeGuard[_BatchNorm]:
    """Whether ``layer`` is a BatchNorm with running statistics and nothing more, such as an activation or a hook."""
    plain = isinstance(layer, _BatchNorm) and type(layer).forward in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
    return plain and layer.running_mean is not None and layer.running_var is not None and not has_hooks(layer)


def _behind_resize(norm: nn.Module) -> nn.Module:
    """The module that does behind the resize what ``norm`` does before it."""
    if _is_affine_in_eval(norm):
        return _Affine(norm)
    if type(norm) is nn.GroupNorm and norm.affine and not has_hooks(norm):
        return _GroupAffine(norm)
    if type(norm) is nn.Identity and not has_hooks(norm):
        return _NoNorm()
    expected = "a BatchNorm with running statistics, a GroupNorm with weights or none"
    raise UnsupportedModelError(f"fuse: expected the norm before the resize to be {expected}, got {norm}")


def _fold(layers: nn.Module) -> nn.Module:
    """Every BatchNorm of a sequence folded into the convolution before it; all other modules as they are."""
    if type(layers) is not nn.Sequential or has_hooks(layers):
        return layers
    folded: list[nn.Module] = []
    for layer in layers:
        last = folded[-1] if folded else None
        if _is_affine_in_eval(layer) and type(last) is nn.Conv2d and not has_hooks(last):
            folded[-1] = fuse_conv_bn_eval(last, layer)
        elif type(layer) is not nn.Identity or has_hooks(layer):
            folded.append(layer)
    return nn.Sequential(*folded)


def _first_and_last(parts: nn.ModuleList) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The convolutions that take the image and make the result; raises for parts that cannot be fused."""
    head, norm, _, _, tail, _ = parts
    first = next(iter(head.children()), head)
    if not isinstance(first, nn.Conv2d) or not isinstance(tail, nn.Conv2d):
        raise UnsupportedModelError(f"fuse: expected the first and the last layer to be Conv2d, got {first} and {tail}")
    for part in parts.modules():
        if uses_batch_statistics(part) and part is not norm:
            raise UnsupportedModelError(f"fuse: expected BatchNorms with running statistics, got {part}")
    return first, tail
