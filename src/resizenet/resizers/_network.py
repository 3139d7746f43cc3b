"""Shared by the learned resizer and its fused copy: the resize of the features, and norms as affine maps."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..functional import resize
from ..functional._interpolation import Interpolation


def resize_features(
    features: Tensor, size: tuple[int, int], *, interpolation: Interpolation, antialias: bool
) -> Tensor:
    """Resize without antialias up to a factor of 2, where bilinear reads every pixel, so high frequencies stay."""
    beyond_two = features.shape[-2] > 2 * size[0] or features.shape[-1] > 2 * size[1]
    return resize(features, size, interpolation=interpolation, antialias=antialias and beyond_two)


def affine_map(norm: _BatchNorm | nn.GroupNorm, variance: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and shift per channel by which ``norm`` maps features of this variance and mean."""
    scale = (variance + norm.eps).rsqrt()
    scale = scale if norm.weight is None else norm.weight * scale
    shift = -mean * scale
    return scale, shift if norm.bias is None else norm.bias + shift


def apply_affine(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``features * scale + shift`` with one rounding; ``scale`` and ``shift`` are (C,) or (B, C).

    An affine map commutes with a resize, whose weights sum to 1, so a norm before a resize can be applied behind it.
    """
    scale, shift = (rearrange(term, "... c -> ... c 1 1").to(features.dtype) for term in (scale, shift))
    return torch.addcmul(shift, features, scale)
