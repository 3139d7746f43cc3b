"""The changes of the first convolution, and of the pool behind it, that make a named stem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from .._errors import UnsupportedModelError
from .._modules import check_parameters
from ._changes import Change, side
from ._filters import FOLD, change_kernel
from ._halvings import Step, is_patch_embedding
from ._inspect import Inspection

Stem = Literal["auto", "keep", "cifar", "no_pool", "fold"]


def stem_factors(found: Inspection, stem: Stem, wanted: int) -> dict[Step, int]:
    """Return the factors that the steps of the stem get with a named stem; empty for "auto" and "keep".

    An upscaling by 4 is folded into patches if an output stride of ``wanted`` needs that, or if the model has recorded
    that it was made for images of four times the input size. Otherwise it is one by 2.

    Raises:
        UnsupportedModelError: the model does not have the layers that the stem changes.
    """
    first = found.first
    if stem in ("auto", "keep"):
        return {}
    if first is None or (stem == "no_pool" and first.pool is None):
        missing = "a pool behind its first convolution" if first else "a convolution in front of all other layers"
        raise UnsupportedModelError(
            f'adapt: stem="{stem}" needs a model with {missing}, and {found.name} has none; choose another stem'
        )
    conv = found.skeleton.get_submodule(first.conv.module)
    if stem != "no_pool" and getattr(conv, "in_channels", found.in_channels) != found.in_channels:
        raise UnsupportedModelError(
            f'adapt: stem="{stem}" needs a model whose first convolution has the image\'s {found.in_channels} channels'
            f", and {found.name}.{first.conv.module} is {conv}; choose another stem"
        )
    factors: dict[Step, int] = {}
    for step in found.steps:
        if first.pool in step.windows and stem in ("cifar", "no_pool"):
            factors[step] = 1
        elif first.conv in step.windows and stem in ("cifar", "fold"):
            enlarged = (4 * found.input_size[0], 4 * found.input_size[1])
            by_4 = is_patch_embedding(first.conv) and step.factor % 4 == 0
            by_4 = by_4 and (found.stride >= 4 * wanted or enlarged in found.recorded)
            factors[step] = 1 if stem == "cifar" else step.factor // (4 if by_4 else 2)
    return factors


def free_steps(found: Inspection, stem: Stem) -> list[Step]:
    """Return the steps that a stem leaves to ``output_stride``: all with "auto", and else those behind the stem."""
    first = found.first
    if stem == "auto" or first is None:
        return [*found.steps]
    return [step for step in found.steps if first.conv not in step.windows and first.pool not in step.windows]


@dataclass(frozen=True)
class _Kernel:
    size: int
    how: str  # how it is made of the old one
    padding: Any


def first_changes(found: Inspection, stem: Stem, stem_weights: str, stride: int) -> Iterator[Change]:
    """Yield the changes that give the first convolution a stride, and a kernel that fits it.

    Raises:
        UnsupportedModelError: the convolution cannot have this kernel.
    """
    first = found.first
    assert first is not None
    path, before, is_patch = first.conv.module, first.conv.stride[0], is_patch_embedding(first.conv)
    conv, where = found.skeleton.get_submodule(path), f"{found.name}.{path}"
    if not isinstance(conv, nn.Conv2d):
        raise UnsupportedModelError(f"adapt: expected {where} to be a Conv2d, got {type(conv).__name__}")
    if stem == "fold":
        _check_fold(conv, where, is_patch=is_patch)
        new: _Kernel | None = _folded(conv, before // stride)
    else:
        how = "pinv" if is_patch and stem_weights != "fresh" else stem_weights  # an even kernel has no center
        new = _smaller(conv, stem, how, stride, is_patch=is_patch)
        if new:
            _check_smaller(conv, where, is_patch=is_patch)
    padding = side(conv.padding)
    if new:
        yield Change(path, "kernel", conv.kernel_size[0], new.size, new.how)
    if stride != before:
        yield Change(path, "stride", before, stride)
    if new and new.padding != padding:
        yield Change(path, "padding", padding, new.padding)
    if stem == "fold" and is_patch and conv.padding_mode != "replicate":
        yield Change(path, "padding mode", conv.padding_mode, "replicate")


def _folded(conv: nn.Conv2d, scale: int) -> _Kernel:
    """Return the kernel of a convolution and an upscaling in front of it."""
    how, stride, padding = f"{FOLD}{scale}", conv.stride[0], side(conv.padding)
    size = change_kernel(conv.weight, 0, how, stride=stride, padding=padding).shape[-1]
    pixels = 0 if isinstance(padding, str) else padding
    return _Kernel(size, how, -(-(2 * pixels + scale - 1) // (2 * scale)))


def _smaller(conv: nn.Conv2d, stem: Stem, how: str, stride: int, *, is_patch: bool) -> _Kernel | None:
    """Return the kernel for another stride; None if the old one stays."""
    k, before = conv.kernel_size[0], conv.stride[0]
    if is_patch and 1 < stride < before:
        return _Kernel(stride, how, 0)
    if stem == "cifar" and k == 3:
        return _Kernel(3, how, side(conv.padding)) if how == "fresh" else None
    return _Kernel(3, how, 1) if stem == "cifar" or (stride == 1 < before and k > 3) else None


def _check_fold(conv: nn.Conv2d, where: str, *, is_patch: bool) -> None:
    k, stride = conv.kernel_size[0], conv.stride[0]
    is_square = conv.kernel_size == (k, k) and conv.stride == (stride, stride) and conv.dilation == (1, 1)
    fits = is_square and stride % 2 == 0 and (is_patch or (k % 2 == 1 and conv.padding == (k // 2, k // 2)))
    needs = 'stem="fold" needs patches, or an odd, square, undilated kernel k with padding k // 2 and an even stride'
    _check(conv, where, {needs: fits}, 'use stem="keep", or replace the layer by hand')


def _check_smaller(conv: nn.Conv2d, where: str, *, is_patch: bool) -> None:
    k = conv.kernel_size[0]
    fits = conv.kernel_size == (k, k) and conv.dilation == (1, 1) and (k % 2 == 1 or is_patch)
    needs = 'stem="cifar" needs an odd, square, undilated kernel'
    _check(conv, where, {needs: fits}, 'use stem="keep", or replace the layer by hand')


def channel_change(found: Inspection, after: int, how: str) -> Change:
    """Return the change to another number of channels of the image.

    Raises:
        UnsupportedModelError: the model does not begin with a convolution of the image that can be changed.
    """
    first, before = found.first, found.in_channels
    conv = found.skeleton.get_submodule(first.conv.module) if first else None
    if first is None or not isinstance(conv, nn.Conv2d) or conv.in_channels != before:
        raise UnsupportedModelError(
            f"adapt: in_channels needs a model that begins with a Conv2d of the image's {before} channels, and "
            f"{found.name} begins with {conv}; replace it by hand"
        )
    needs = "in_channels needs a convolution without groups"
    _check(conv, f"{found.name}.{first.conv.module}", {needs: conv.groups == 1}, "replace the layer by hand")
    return Change(first.conv.module, "channels", before, after, how)


def _check(conv: nn.Conv2d, where: str, requirements: dict[str, bool], remedy: str) -> None:
    """Raise UnsupportedModelError if the weight cannot be replaced, or if a requirement is not met."""
    check_parameters(conv, where, operation="adapt", names=("weight",))
    requirements = {**requirements, "a new weight needs a floating point dtype": conv.weight.is_floating_point()}
    for requirement, met in requirements.items():
        if not met:
            raise UnsupportedModelError(f"adapt: {requirement}, and {where} is {conv}; {remedy}")
