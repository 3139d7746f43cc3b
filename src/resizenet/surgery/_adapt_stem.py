"""The weights of a changed stem, made from those that it had."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from ..functional import fold_upscale, resize_filter
from ._channels import change_channels
from ._families import Family
from ._stems import first_convolution, set_weight, shrink_stem, submodule


def adapt_stem(model: nn.Module, family: Family, stem: str, stem_weights: str) -> None:
    """Give the model the stem of that name; ``check_stem`` has passed."""
    if stem in ("cifar", "no_pool"):
        shrink_stem(model, family, stem, lambda weight: _small_filter(weight, stem_weights))
    if stem == "fold":
        convolution = first_convolution(model, family.conv)
        set_weight(convolution, fold_upscale(convolution.weight.detach(), scale=2, stride=convolution.stride[0]))
        convolution.stride = (convolution.stride[0] // 2, convolution.stride[1] // 2)


def adapt_channels(model: nn.Module, family: Family, in_channels: int, channel_weights: str) -> None:
    """Give the model's first convolution another number of input channels; ``check_stem`` has passed."""
    convolution = first_convolution(model, family.conv)
    if in_channels != convolution.in_channels:
        set_weight(convolution, change_channels(convolution.weight.detach(), in_channels, channel_weights))


def stem_strides(model: nn.Module, family: Family) -> tuple[int, int]:
    """Image pixels from one cell to the next, behind the first convolution and behind the pool."""
    pool = submodule(model, family.pool) if family.pool is not None else None
    strides: list[Any] = [layer.stride for layer in pool.modules() if hasattr(layer, "stride")] if pool else []
    convolution = first_convolution(model, family.conv).stride[0]
    return convolution, convolution * math.prod(
        stride[0] if isinstance(stride, tuple) else stride for stride in strides
    )


def _small_filter(weight: Tensor, method: str) -> Tensor:
    """(O, I, k, k) -> (O, I, 3, 3); a fresh one is to be trained."""
    if method == "fresh":
        return nn.init.kaiming_normal_(
            weight.new_empty(*weight.shape[:2], 3, 3), mode="fan_out", nonlinearity="relu"
        ).requires_grad_()
    return resize_filter(weight, 3, method=method)
