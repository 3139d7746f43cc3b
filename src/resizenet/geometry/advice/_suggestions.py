"""Suggest, as code, what to do about a last map that is too small; every change was tried on a copy without values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torchvision
from torch import nn

from ..._errors import ArgumentError, ShapeError, UnsupportedModelError
from ..._text import format_count, format_size
from ..._tracing import Row, Trace, first_layers, last_map, side_multiple, stages, trace
from ...surgery import Adaptation, plan
from ...surgery._plan import OutputStride

_GOOD_MAP = 4  # positions per side of the last map of a CIFAR ResNet-18 at 32 px
_OUTPUT_STRIDES: tuple[OutputStride, ...] = ("auto", 16, 8, 4)  # the first one that leaves a good map is suggested
_FOLDS = (2, 4)  # the factors that adapt can fold into a first convolution
_MORE_FACTORS = 3  # to try beyond the one that the stride asks for, as kernels may have no padding
_TIMM_DILATES = {  # timm's types that take an output_stride of 8 or 16; others refuse it (timm 1.0)
    *("byobnet.ByobNet", "convnext.ConvNeXt", "cspnet.CspNet", "efficientnet.EfficientNet", "nfnet.NormFreeNet"),
    *("regnet.RegNet", "resnet.ResNet", "resnetv2.ResNetV2", "rexnet.RexNet", "xception_aligned.XceptionAligned"),
}


def find_suggestions(traced: Trace, input_size: tuple[int, int], in_channels: int) -> Iterator[str]:
    """Yield one line of code per suggestion, with its effect."""
    model, final = traced.skeleton, last_map(stages(traced.rows))
    if final is not None and 0 < min(last_map_size(traced)) < _GOOD_MAP:
        if final.stride:
            yield from _adapting(model, traced, input_size)
        yield from _upscaling(model, traced, final, input_size, in_channels)
        if final.stride:
            yield from _dilating(model, max(final.stride), input_size)
    multiple = side_multiple(model, in_channels, near=max(input_size))
    if multiple is not None and multiple > 1:
        yield f"{_any_size(multiple)}: images of any size; without it the sides must be multiples of {multiple}"


def explain_size(error: ShapeError, model: nn.Module, input_size: tuple[int, int], in_channels: int) -> ShapeError:
    """Return the error of ``trace``, with the multiple that the sides of this image miss, if that is the reason."""
    multiple = side_multiple(model, in_channels, near=max(input_size))
    if multiple is None or all(side % multiple == 0 for side in input_size):
        return error
    return ShapeError(f"{error}; the sides must be multiples of {multiple}, and {_any_size(multiple)} pads images")


def _any_size(multiple: int) -> str:
    return f"resizenet.AnySize(model, multiple={multiple})"


def _adapting(model: nn.Module, traced: Trace, input_size: tuple[int, int]) -> Iterator[str]:
    """Suggest the plan with the largest output stride that leaves a large enough map, or else the largest map."""
    code, best, positions = "", None, math.prod(last_map_size(traced))
    for output_stride in _OUTPUT_STRIDES:
        planned = _plan(model, input_size, output_stride=output_stride)
        if planned and math.prod(planned.last_map[1]) > positions:
            option = "" if output_stride == "auto" else f", output_stride={output_stride}"
            code = f"resizenet.adapt(model, {_argument(input_size)}{option})"
            best, positions = planned, math.prod(planned.last_map[1])
            if min(planned.last_map[1]) >= _GOOD_MAP:
                break
    if best:
        yield f"{code}: {_effect(traced, best.last_map[1], best.macs[1])}; for training from scratch"


def _plan(model: nn.Module, input_size: tuple[int, int], **options: Any) -> Adaptation | None:
    """Return the plan, or None if the model cannot be adapted in this way."""
    try:
        return plan(model, input_size, **options)
    except (UnsupportedModelError, ArgumentError):
        return None


def _upscaling(
    model: nn.Module, traced: Trace, final: Row, input_size: tuple[int, int], in_channels: int
) -> Iterator[str]:
    """Suggest a whole factor, if the last map grows with the image, which it does not behind a resizer.

    If ``adapt`` can fold the same factor into the first convolution, that is suggested as well.
    """
    before = last_map_size(traced)
    strides = final.stride or tuple(-(-side // length) for side, length in zip(input_size, before, strict=True))
    least = max(2, *(-(-_GOOD_MAP * stride // side) for stride, side in zip(strides, input_size, strict=True)))
    for factor in range(least, least + 1 + _MORE_FACTORS):
        larger = factor * input_size[0], factor * input_size[1]
        try:
            after = trace(model, in_channels, larger)
        except (ShapeError, UnsupportedModelError):
            continue
        if math.prod(last_map_size(after)) <= math.prod(before):
            return
        if min(last_map_size(after)) >= _GOOD_MAP:
            effect = _effect(traced, last_map_size(after), after.macs)
            yield f"resizenet.transforms.UpscalePolicy({_argument(larger)}): {effect}; for pretrained weights"
            folded = _plan(model, input_size, stem="fold") if _may_fold(traced, factor) else None
            if folded and folded.last_map[1] == last_map_size(after):
                effect = _effect(traced, folded.last_map[1], folded.macs[1])
                code = f'resizenet.adapt(model, {_argument(input_size)}, stem="fold")'
                yield f"{code}: {effect}; equals that upscaling except near the border"
            return


def _may_fold(traced: Trace, factor: int) -> bool:
    first = first_layers(traced)
    return factor in _FOLDS and first is not None and first.conv.stride[0] % factor == 0


def _dilating(model: nn.Module, stride: int, input_size: tuple[int, int]) -> Iterator[str]:
    """Suggest the argument by which some types are made with dilated kernels instead of strides."""
    wanted = next((s for s in (16, 8) if min(input_size) >= _GOOD_MAP * s), 8)
    if wanted >= stride or stride > 32:
        return
    if f"{type(model).__module__}.{type(model).__qualname__}".removeprefix("timm.models.") in _TIMM_DILATES:
        code = f"output_stride={wanted}"
    elif isinstance(model, torchvision.models.ResNet) and _has_bottlenecks(model):
        code = f"replace_stride_with_dilation={[False, wanted == 8, True]}"
    else:
        return
    after = format_size((-(-input_size[0] // wanted), -(-input_size[1] // wanted)))
    yield f"{code} when the model is made: dilated kernels, a last map of about {after}"


def _has_bottlenecks(model: nn.Module) -> bool:
    """Whether torchvision can dilate this ResNet; its basic blocks refuse."""
    return any(isinstance(module, torchvision.models.resnet.Bottleneck) for module in model.modules())


def _effect(before: Trace, size: tuple[int, int], macs: int) -> str:
    return f"a {format_size(size)} last map, {macs / max(before.macs, 1):.1f} times the MACs ({format_count(macs)})"


def last_map_size(traced: Trace) -> tuple[int, int]:
    """Return (height, width) of the last map, (0, 0) without any."""
    final = last_map(stages(traced.rows))
    return (final and final.output_map) or (0, 0)


def _argument(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else str(size)
