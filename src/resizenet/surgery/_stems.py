"""The changes of the first convolution, and of the pool behind it, that make a named stem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import nn

from .._errors import UnsupportedModelError
from .._modules import check_parameters
from ._changes import Change, side
from ._halvings import Step
from ._inspect import Inspection

Stem = Literal["auto", "keep", "cifar", "no_pool", "fold"]


def stem_factors(found: Inspection, stem: Stem) -> dict[Step, int]:
    """Return the factors that the steps of the stem get with a named stem; empty for "auto" and "keep".

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
    factors: dict[Step, int] = {}
    for step in found.steps:
        if first.pool in step.windows and stem in ("cifar", "no_pool"):
            factors[step] = 1
        elif first.conv in step.windows and stem in ("cifar", "fold"):
            factors[step] = 1 if stem == "cifar" else step.factor // 2
    return factors


def free_steps(found: Inspection, stem: Stem) -> list[Step]:
    """Return the steps that a stem leaves to ``output_stride``: all with "auto", and else those behind the stem."""
    first = found.first
    if stem == "auto" or first is None:
        return [*found.steps]
    return [step for step in found.steps if first.conv not in step.windows and first.pool not in step.windows]


def first_changes(found: Inspection, stem: Stem, stem_weights: str, stride: int) -> Iterator[Change]:
    """Yield the changes that give the first convolution a stride, and a kernel that fits it.

    Raises:
        UnsupportedModelError: the convolution cannot have this kernel.
    """
    first = found.first
    assert first is not None
    model = found.skeleton
    conv, path = model.get_submodule(first.conv.module), first.conv.module
    where, before, k = f"{type(model).__name__}.{path}", first.conv.stride[0], first.conv.kernel[0]
    if not isinstance(conv, nn.Conv2d):
        raise UnsupportedModelError(f"adapt: expected {where} to be a Conv2d, got {type(conv).__name__}")
    is_patch = first.conv.kernel == first.conv.stride and first.conv.padding == (0, 0)
    how = "pinv" if is_patch and stem_weights != "fresh" else stem_weights  # an even kernel has no center
    after = k
    if stem == "fold":
        after, how = 2 * -(-k // 4) + 1, "fold"
    elif is_patch and 1 < stride < before:
        after = stride
    elif stem == "cifar" or (stride == 1 < before and k > 3):
        after = 3
    if stem == "fold" or after != k or (stem == "cifar" and how == "fresh"):
        _check_kernel(conv, where, stem, is_patch=is_patch)
        yield Change(path, "kernel", k, after, how)
    if stride != before:
        yield Change(path, "stride", before, stride)
    margin, padding = 0 if is_patch and stride > 1 else after // 2, side(conv.padding)
    if after != k and padding != margin:
        yield Change(path, "padding", padding, margin)


def _check_kernel(conv: nn.Conv2d, where: str, stem: str, *, is_patch: bool) -> None:
    """Raise UnsupportedModelError if the convolution cannot have another kernel."""
    check_parameters(conv, where, operation="adapt", names=("weight",))
    k, stride = conv.kernel_size[0], conv.stride[0]
    is_square = conv.kernel_size == (k, k) and conv.dilation == (1, 1)
    folds = k % 2 == 1 and is_square and stride % 2 == 0 and conv.padding == (k // 2, k // 2)
    requirements = {
        'stem="cifar" needs an odd, square, undilated kernel': (
            stem == "fold" or (is_square and (k % 2 == 1 or is_patch))
        ),
        'stem="fold" needs an odd, square, undilated kernel k with padding k // 2 and an even stride': (
            stem != "fold" or (folds and conv.stride == (stride, stride))
        ),
        "a new weight needs a floating point dtype": conv.weight.is_floating_point(),
    }
    for requirement, met in requirements.items():
        if not met:
            raise UnsupportedModelError(
                f'adapt: {requirement}, and {where} is {conv}; use stem="keep", or replace the layer by hand'
            )


def channel_change(found: Inspection, after: int, how: str) -> Change:
    """Return the change to another number of channels of the image.

    Raises:
        UnsupportedModelError: the model does not begin with a convolution of the image that can be changed.
    """
    first, before, model = found.first, found.in_channels, found.skeleton
    name = type(model).__name__
    conv = model.get_submodule(first.conv.module) if first else None
    if first is None or not isinstance(conv, nn.Conv2d) or conv.in_channels != before:
        raise UnsupportedModelError(
            f"adapt: in_channels needs a model that begins with a Conv2d of the image's {before} channels, and {name} "
            f"begins with {conv}; replace it by hand"
        )
    where = f"{name}.{first.conv.module}"
    check_parameters(conv, where, operation="adapt", names=("weight",))
    requirements = {
        "in_channels needs a convolution without groups": conv.groups == 1,
        "a new weight needs a floating point dtype": conv.weight.is_floating_point(),
    }
    for requirement, met in requirements.items():
        if not met:
            raise UnsupportedModelError(f"adapt: {requirement}, and {where} is {conv}; replace the layer by hand")
    return Change(first.conv.module, "channels", before, after, how)
