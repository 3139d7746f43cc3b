"""What to do about a last map that is too small, as code. What ``adapt`` knows is not known here: the traced stem decides what is suggested."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import torchvision
from torch import nn

from .._errors import ShapeError
from ._stages import last_map, stages
from ._stem import Stem
from ._text import by, count
from ._trace import Row, Trace, trace

_GOOD_MAP = 4  # cells per side of the last map of a CIFAR ResNet-18 at 32 px


def suggestions(model: nn.Module, traced: Trace, stem: Stem | None, size: tuple[int, int], in_channels: int) -> Iterator[str]:
    """Nothing for a last map of 4x4 or more."""
    final = last_map(stages(traced.rows))
    if final is None or final.output_map is None or min(final.output_map) >= _GOOD_MAP:
        return
    if stem and final.stride and stem.shrinks:
        yield _adapting(model, traced, stem, final.stride, size)
    yield from _upscaling(model, traced, final, size, in_channels)
    if final.stride:
        yield from _dilating(model, max(final.stride), size)


def _adapting(model: nn.Module, traced: Trace, stem: Stem, stride: tuple[int, int], size: tuple[int, int]) -> str:
    """The smallest change of the stem with which the last map is large enough, or the largest."""
    without_pool = _cells(size, stride, stem.pool_stride)
    name, factor, after = "no_pool", stem.pool_stride[0], without_pool
    if min(without_pool) < _GOOD_MAP or stem.pool is None:
        both = stem.conv_stride[0] * stem.pool_stride[0], stem.conv_stride[1] * stem.pool_stride[1]
        name, factor, after = "cifar", both[0], _cells(size, stride, both)
    promise = f"the same weights, a last map of about {by(after)}, up to {factor**2} times the MACs"
    code = f'resizenet.adapt(model, {_argument(size)}, stem="{name}")'
    if stem.pool or traced.classifier is None:
        return f"{code}: {promise}"
    told = f'resizenet.surgery.register_family(type(model), conv="{stem.conv}", classifier="{traced.classifier}")'
    return f"{told}; {code}: {promise}"


def _cells(size: tuple[int, int], stride: tuple[int, int], removed: tuple[int, int]) -> tuple[int, int]:
    down, across = (-(-side * less // step) for side, step, less in zip(size, stride, removed, strict=True))
    return down, across


def _upscaling(model: nn.Module, traced: Trace, final: Row, size: tuple[int, int], in_channels: int) -> Iterator[str]:
    """By a whole factor, and what it really does, traced at the larger size; nothing where the model takes no larger images."""
    strides = final.stride or tuple(-(-side // cells) for side, cells in zip(size, final.output_map or size, strict=True))
    factor = max(-(-_GOOD_MAP * stride // side) for stride, side in zip(strides, size, strict=True))
    larger = factor * size[0], factor * size[1]
    try:
        after = trace(model, in_channels, larger)
    except ShapeError:
        return
    there = last_map(stages(after.rows))
    if there and there.output_map:
        times = after.macs / max(traced.macs, 1)
        yield f"resizenet.transforms.UpscalePolicy({_argument(larger)}): a {by(there.output_map)} last map, {times:.1f} times the MACs ({count(after.macs)})"


def _dilating(model: nn.Module, stride: int, size: tuple[int, int]) -> Iterator[str]:
    """For networks that can be made with dilated kernels in the place of strides."""
    wanted = next((s for s in (16, 8) if min(size) >= _GOOD_MAP * s), 8)
    if wanted >= stride or stride > 32:
        return
    after = by((-(-size[0] // wanted), -(-size[1] // wanted)))
    promise = f"when the model is made: the same weights, dilated kernels, a last map of about {after}"
    if "output_stride" in inspect.signature(type(model)).parameters:  # timm's name
        yield f"output_stride={wanted} {promise}"
    elif isinstance(model, torchvision.models.ResNet) and any(isinstance(m, torchvision.models.resnet.Bottleneck) for m in model.modules()):
        yield f"replace_stride_with_dilation={[False, wanted == 8, True]} {promise}"  # torchvision has it for bottlenecks only


def _argument(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else str(size)
