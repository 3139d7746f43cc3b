"""The stem of an existing model: its first convolution and its pool, changed where they are, so that hooks and flags stay."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._errors import UnsupportedModelError
from ._families import Family


def first_convolution(model: nn.Module, path: str) -> nn.Conv2d:
    """The convolution at ``path``, or the one that the Sequential there begins with.

    Raises:
        UnsupportedModelError: there is something else.
    """
    part = submodule(model, path)
    first = next(iter(part), None) if isinstance(part, nn.Sequential) else part
    if not isinstance(first, nn.Conv2d):
        raise unexpected(model, path, "a Conv2d", part)
    return first


def submodule(model: nn.Module, path: str) -> nn.Module | None:
    """The module at ``path``, or None."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def unexpected(model: nn.Module, path: str, expected: str, part: object) -> UnsupportedModelError:
    """An error that says what stands where ``expected`` should."""
    return UnsupportedModelError(
        f"adapt: expected {type(model).__name__}.{path} to be {expected}, got {type(part).__name__}; replace it by hand"
    )


def check_stem(model: nn.Module, family: Family, stem: str, in_channels: int | None) -> None:
    """Raise UnsupportedModelError for a stem that cannot be changed as wanted."""
    convolution = first_convolution(model, family.conv)
    k, stride = convolution.kernel_size[0], convolution.stride[0]
    centred = k % 2 == 1 and convolution.kernel_size == (k, k) and convolution.dilation == (1, 1)
    folds = (
        centred
        and stride % 2 == 0
        and convolution.stride == (stride, stride)
        and convolution.padding == (k // 2, k // 2)
    )
    new_channels = in_channels is not None and in_channels != convolution.in_channels
    new_weight = new_channels or stem in ("cifar", "fold")
    requirements = {
        'stem="cifar" needs an odd, square, undilated kernel': stem != "cifar" or centred,
        'stem="fold" needs an odd, square, undilated kernel k with padding k // 2 and an even stride': stem != "fold"
        or folds,
        "in_channels needs a convolution without groups": not new_channels or convolution.groups == 1,
        "a new weight needs a plain one, without parametrization": not new_weight
        or isinstance(convolution.weight, nn.Parameter),
    }
    for requirement, met in requirements.items():
        if not met:
            raise UnsupportedModelError(
                f'adapt: {requirement}, and {type(model).__name__}.{family.conv} is {convolution}; use stem="keep", or replace the layer by hand'
            )


def shrink_stem(model: nn.Module, family: Family, stem: str, small: Callable[[Tensor], Tensor]) -> None:
    """Give the model the stem "no_pool" or "cifar", whose 3x3 filter is made from the old one; ``check_stem`` has passed."""
    if family.pool is not None:
        _remove_pool(model, family.pool)
    convolution = first_convolution(model, family.conv)
    if stem == "cifar" and (convolution.kernel_size, convolution.stride) != ((3, 3), (1, 1)):
        set_weight(convolution, small(convolution.weight.detach()))
        convolution.stride = (1, 1)


def set_weight(convolution: nn.Conv2d, weight: Tensor) -> None:
    """A new filter in the same module, trained if it or the old one is; a kernel of another size gets the padding that keeps it centred."""
    old = convolution.weight
    channels_last = old.is_contiguous(memory_format=torch.channels_last) and not old.is_contiguous()
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    convolution.weight = nn.Parameter(
        weight.contiguous(memory_format=memory_format), requires_grad=old.requires_grad or weight.requires_grad
    )
    convolution.in_channels = weight.shape[1] * convolution.groups
    kernel_size, margin = (weight.shape[2], weight.shape[3]), weight.shape[2] // 2
    if kernel_size != convolution.kernel_size:
        convolution.kernel_size = kernel_size
        convolution.padding = (margin, margin)
        convolution._reversed_padding_repeated_twice = [
            margin
        ] * 4  # what torch pads with unless padding_mode is "zeros"


def _remove_pool(model: nn.Module, path: str) -> None:
    """Take the pool out; one that has weights, such as timm's ``replace_stem_pool``, keeps them and loses its stride."""
    parent, _, name = path.rpartition(".")
    pool = submodule(model, path)
    if pool is None:
        return
    if next(pool.parameters(), None) is None:
        setattr(model.get_submodule(parent), name, nn.Identity().train(pool.training))
        return
    for layer in pool.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
    for child, layer in pool.named_children():
        if getattr(layer, "stride", 1) not in (1, (1, 1)):  # a pooling layer among those with weights
            setattr(pool, child, nn.Identity().train(layer.training))
