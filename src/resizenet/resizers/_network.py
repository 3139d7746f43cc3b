"""Shared by the learned resizer and its fused copy: the resize of the features, and norms as affine maps."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.nn.modules.batchnorm import _BatchNorm

from .._errors import ShapeError
from ..functional import resize
from ..functional._fx import fx_leaf, is_proxy
from ..functional._interpolation import Interpolation


@fx_leaf
def resize_features(
    features: Tensor, size: tuple[int, int], *, interpolation: Interpolation, antialias: bool
) -> Tensor:
    """Resize without antialias up to a factor of 2, where bilinear reads every pixel, so high frequencies stay.

    An exported graph with a dynamic size that may lie on both sides computes both and selects one.
    """
    if not antialias:
        return resize(features, size, interpolation=interpolation, antialias=False)
    beyond_two = _exceeds(features.shape[-2], 2 * size[0]), _exceeds(features.shape[-1], 2 * size[1])
    if True in beyond_two or beyond_two == (False, False):
        return resize(features, size, interpolation=interpolation, antialias=True in beyond_two)
    lengths = [torch.scalar_tensor(n, dtype=torch.int64, device=features.device) for n in features.shape[-2:]]
    far = (lengths[0] > 2 * size[0]) | (lengths[1] > 2 * size[1])
    both = [resize(features, size, interpolation=interpolation, antialias=choice) for choice in (True, False)]
    return torch.where(far, both[0], both[1])


def _exceeds(length: int, limit: int) -> bool | None:
    """Whether ``length > limit``; None in an exported graph whose dynamic length may lie on both sides."""
    if not is_exporting():
        return length > limit
    if statically_known_true(length > limit):
        return True
    return False if statically_known_true(length <= limit) else None


def is_size(x: Tensor, size: tuple[int, int]) -> bool:
    """Whether (H, W) is ``size``; False in an exported or traced graph whose size may be another."""
    if is_proxy(x):
        return False
    same = [length == wanted for length, wanted in zip(x.shape[2:], size, strict=True)]
    return all(map(statically_known_true, same)) if is_exporting() else all(same)


def is_exporting() -> bool:
    """Whether torch.export traces this; torch 2.6 has no such function, and there torch.compile counts too."""
    return bool(getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)())


def affine_map(norm: _BatchNorm | nn.GroupNorm, variance: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and shift per channel by which ``norm`` maps features of this variance and mean."""
    scale = (variance + norm.eps).rsqrt()
    scale = scale if norm.weight is None else norm.weight * scale
    shift = -mean * scale
    return scale, shift if norm.bias is None else norm.bias + shift


@fx_leaf
def apply_affine(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``features * scale + shift`` with one rounding; ``scale`` and ``shift`` are (C,) or (B, C).

    An affine map commutes with a resize, whose weights sum to 1, so a norm before a resize can be applied behind it.
    """
    scale, shift = (rearrange(term, "... c -> ... c 1 1").to(features.dtype) for term in (scale, shift))
    return torch.addcmul(shift, features, scale)


def uses_batch_statistics(norm: nn.Module) -> bool:
    """Whether ``norm`` is a BatchNorm that computes its statistics from the batch."""
    return isinstance(norm, _BatchNorm) and (norm.training or norm.running_mean is None)


def normalizes_images_alone(norm: nn.Module) -> bool:
    """Whether ``norm`` is known to treat each image of a batch as if it were alone."""
    in_eval = isinstance(norm, _BatchNorm) and not uses_batch_statistics(norm)
    return in_eval or type(norm) in (nn.GroupNorm, nn.Identity)


def check_enough_values(module: nn.Module, x: Tensor, size: tuple[int, int]) -> None:
    """Raise ShapeError if a norm would see a single value, for which torch raises ValueError."""
    if is_proxy(x) or torch.compiler.is_compiling() or len(x) * min(x.shape[2] * x.shape[3], size[0] * size[1]) != 1:
        return
    for norm in module.modules():
        alone = isinstance(norm, nn.GroupNorm) and norm.num_groups == norm.num_channels
        if alone or uses_batch_statistics(norm):
            name = f"{type(module).__name__}: expected"
            raise ShapeError(f"{name} more than one value per channel for {norm}, got {tuple(x.shape)} -> {size}")
