"""Change the first convolution and the pool of a model in place, so that hooks and flags survive."""

from __future__ import annotations

import math
from typing import Any, Literal

from torch import Tensor, nn

from .._errors import UnsupportedModelError
from .._modules import check_parameters
from ..functional import fold_upscale, resize_filter
from ..functional._memory_format import memory_format_of
from ._families import Family, find_convolution, find_module

StemWeights = Literal["center", "area", "pinv", "fresh"]


def check_stem(model: nn.Module, family: Family, stem: str, in_channels: int | None) -> None:
    """Raise UnsupportedModelError if the stem cannot be changed as requested."""
    convolution, path = find_convolution(model, family), f"{type(model).__name__}.{family.conv}"
    k, stride = convolution.kernel_size[0], convolution.stride[0]
    centered = k % 2 == 1 and convolution.kernel_size == (k, k) and convolution.dilation == (1, 1)
    even_stride = stride % 2 == 0 and convolution.stride == (stride, stride)
    folds = centered and even_stride and convolution.padding == (k // 2, k // 2)
    new_channels = in_channels is not None and in_channels != convolution.in_channels
    new_weight = new_channels or stem in ("cifar", "fold")
    if new_weight:
        check_parameters(convolution, path, operation="adapt", names=("weight",))
    requirements = {
        'stem="cifar" needs an odd, square, undilated kernel': stem != "cifar" or centered,
        'stem="fold" needs an odd, square, undilated kernel k with padding k // 2 and an even stride': (
            stem != "fold" or folds
        ),
        "in_channels needs a convolution without groups": not new_channels or convolution.groups == 1,
        "a new weight needs a floating point dtype": not new_weight or convolution.weight.is_floating_point(),
    }
    for requirement, met in requirements.items():
        if not met:
            raise UnsupportedModelError(
                f'adapt: {requirement}, and {path} is {convolution}; use stem="keep", or replace the layer by hand'
            )


def new_filter(convolution: nn.Conv2d, stem: str, stem_weights: StemWeights) -> Tensor | None:
    """Return the first filter of the stem with this name; None if it is the one that the convolution has."""
    weight = convolution.weight.detach()
    if stem == "cifar" and (convolution.kernel_size, convolution.stride) != ((3, 3), (1, 1)):
        return _small_filter(weight, stem_weights)
    return fold_upscale(weight, scale=2, stride=convolution.stride[0]) if stem == "fold" else None


def change_stem(model: nn.Module, family: Family, stem: str, weight: Tensor | None) -> None:
    """Give the model the stem with this name, and its first convolution the weight; call ``check_stem`` first."""
    convolution = find_convolution(model, family)
    if stem in ("cifar", "no_pool") and family.pool is not None:
        _remove_pool(model, family.pool)
    if stem == "cifar":
        convolution.stride = (1, 1)
    elif stem == "fold":
        convolution.stride = (convolution.stride[0] // 2, convolution.stride[1] // 2)
    if weight is not None:
        _set_weight(convolution, weight)


def _set_weight(convolution: nn.Conv2d, weight: Tensor) -> None:
    """Give the convolution another filter.

    The filter requires gradients if it or the old one does. If the kernel has another size, the padding becomes half
    of it.
    """
    old = convolution.weight
    convolution.weight = nn.Parameter(
        weight.contiguous(memory_format=memory_format_of(old)), requires_grad=old.requires_grad or weight.requires_grad
    )
    convolution.in_channels = weight.shape[1] * convolution.groups
    kernel_size, margin = (weight.shape[2], weight.shape[3]), weight.shape[2] // 2
    if kernel_size != convolution.kernel_size:
        convolution.kernel_size = kernel_size
        convolution.padding = (margin, margin)
        convolution._reversed_padding_repeated_twice = [margin] * 4  # read by padding modes other than "zeros"


def stem_strides(model: nn.Module, family: Family) -> tuple[int, int]:
    """Return the stride behind the first convolution and the one behind the pool, in pixels of the image."""
    pool = find_module(model, family.pool) if family.pool is not None else None
    strides: list[Any] = [layer.stride for layer in pool.modules() if hasattr(layer, "stride")] if pool else []
    first = find_convolution(model, family).stride[0]
    return first, first * math.prod(stride[0] if isinstance(stride, tuple) else stride for stride in strides)


def _small_filter(weight: Tensor, method: StemWeights) -> Tensor:
    """(O, I, k, k) -> (O, I, 3, 3); a fresh filter requires gradients."""
    if method != "fresh":
        return resize_filter(weight, 3, method=method)
    fresh = weight.new_empty(*weight.shape[:2], 3, 3)
    return nn.init.kaiming_normal_(fresh, mode="fan_out", nonlinearity="relu").requires_grad_()


def _remove_pool(model: nn.Module, path: str) -> None:
    """Replace the pool by an Identity; one with weights, such as timm's ``replace_stem_pool``, loses its stride."""
    parent, _, name = path.rpartition(".")
    pool = find_module(model, path)
    if pool is None:
        return
    if next(pool.parameters(), None) is None:
        setattr(model.get_submodule(parent), name, nn.Identity().train(pool.training))
        return
    for layer in pool.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
    for child, layer in pool.named_children():
        if getattr(layer, "stride", 1) not in (1, (1, 1)):  # a pooling layer beside a convolution
            setattr(pool, child, nn.Identity().train(layer.training))
