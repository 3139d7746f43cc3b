"""What to do about a last map that is too small, as code. What is suggested was tried first, on a copy without values."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterator

import torch
import torchvision
from torch import nn

from ..._errors import ShapeError, UnsupportedModelError
from ..._tracing import FirstLayers, Row, Trace, last_map, skeleton, stages, trace
from ...surgery._families import Family, find_family
from ...surgery._stems import check_stem, shrink_stem
from ..render._text import by, count

_GOOD_MAP = 4  # cells per side of the last map of a CIFAR ResNet-18 at 32 px
_MORE_FACTORS = 3  # beyond the one that the stride asks for: kernels without padding, and sides that a model refuses


def suggestions(
    model: nn.Module, traced: Trace, stem: FirstLayers | None, size: tuple[int, int], in_channels: int
) -> Iterator[str]:
    """Nothing for a last map of 4x4 or more."""
    final = last_map(stages(traced.rows))
    if final is None or final.output_map is None or min(final.output_map) >= _GOOD_MAP:
        return
    if stem and final.stride and stem.shrinks:
        yield from _adapting(model, traced, stem, size, in_channels)
    yield from _upscaling(model, traced, final, size, in_channels)
    if final.stride:
        yield from _dilating(model, max(final.stride), size, in_channels)


def _adapting(
    model: nn.Module, traced: Trace, stem: FirstLayers, size: tuple[int, int], in_channels: int
) -> Iterator[str]:
    """The smallest change of the stem with which the last map is large enough, or the largest."""
    family = find_family(type(model))
    told = ""
    if family is None:
        family = _new_family(model, traced, stem)
        if family is None:
            return
        told = f"{_registering(family)}; "
    chosen, after = "", traced
    for name in ("no_pool", "cifar"):
        tried = _with_stem(model, family, name, size, in_channels)
        if tried and _cells(tried) > _cells(after):
            chosen, after = name, tried
        if min(_map(after)) >= _GOOD_MAP:
            break
    if chosen:
        yield f'{told}resizenet.adapt(model, {_argument(size)}, stem="{chosen}"): the same weights, {_effect(traced, after)}'


def _new_family(model: nn.Module, traced: Trace, stem: FirstLayers) -> Family | None:
    """What can be registered for the type; None for a type that holds any network, and where a part is not a module of its own."""
    final, classifier = last_map(stages(traced.rows)), traced.classifier
    finished = [row.name for row in traced.rows]
    if final is None or classifier is None or finished.index(classifier) < finished.index(final.name):
        return None
    of_torch = (
        type(model).__module__.partition(".")[0] == "torch"
    )  # Sequential, DataParallel, what torch.compile returns
    wraps = stem.conv.partition(".")[0] == classifier.partition(".")[0]
    functional = stem.pool is not None and next(model.get_submodule(stem.pool).children(), None) is not None
    return None if of_torch or wraps or functional else Family(stem.conv, stem.pool, classifier)


def _registering(family: Family) -> str:
    pool = f', pool="{family.pool}"' if family.pool else ""
    return (
        f'resizenet.surgery.register_family(type(model), conv="{family.conv}"{pool}, classifier="{family.classifier}")'
    )


def _with_stem(model: nn.Module, family: Family, stem: str, size: tuple[int, int], in_channels: int) -> Trace | None:
    """What the model does with that stem; None where it cannot have it."""
    changed = skeleton(model)
    try:
        check_stem(changed, family, stem, None)
        shrink_stem(changed, family, stem, lambda weight: weight.new_empty(*weight.shape[:2], 3, 3))
        return trace(changed, in_channels, size)
    except (UnsupportedModelError, ShapeError):
        return None


def _upscaling(model: nn.Module, traced: Trace, final: Row, size: tuple[int, int], in_channels: int) -> Iterator[str]:
    """By a whole factor; nothing where the map does not grow with the image, as behind a resizer, or the model takes no larger images."""
    strides = final.stride or tuple(-(-side // cells) for side, cells in zip(size, _map(traced), strict=True))
    least = max(2, *(-(-_GOOD_MAP * stride // side) for stride, side in zip(strides, size, strict=True)))
    for factor in range(least, least + 1 + _MORE_FACTORS):
        larger = factor * size[0], factor * size[1]
        try:
            after = trace(model, in_channels, larger)
        except ShapeError:
            continue
        if _cells(after) <= _cells(traced):
            return
        if min(_map(after)) >= _GOOD_MAP:
            yield f"resizenet.transforms.UpscalePolicy({_argument(larger)}): {_effect(traced, after)}"
            return


def _dilating(model: nn.Module, stride: int, size: tuple[int, int], in_channels: int) -> Iterator[str]:
    """For networks that can be made with dilated kernels in the place of strides."""
    wanted = next((s for s in (16, 8) if min(size) >= _GOOD_MAP * s), 8)
    if wanted >= stride or stride > 32:
        return
    after = by((-(-size[0] // wanted), -(-size[1] // wanted)))
    promise = f"when the model is made: the same weights, dilated kernels, a last map of about {after}"
    if "output_stride" in inspect.signature(type(model)).parameters and _timm_dilates(model, wanted, in_channels, size):
        yield f"output_stride={wanted} {promise}"
    elif isinstance(model, torchvision.models.ResNet) and any(
        isinstance(m, torchvision.models.resnet.Bottleneck) for m in model.modules()
    ):
        yield f"replace_stride_with_dilation={[False, wanted == 8, True]} {promise}"  # torchvision has it for bottlenecks only


def _timm_dilates(model: nn.Module, wanted: int, in_channels: int, size: tuple[int, int]) -> bool:
    """Whether timm can make the model with this output stride: many types of its have the argument and refuse all but one value."""
    name = (getattr(model, "pretrained_cfg", None) or {}).get("architecture")
    if name is None or "timm" not in sys.modules:
        return False
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            made = sys.modules["timm"].create_model(name, in_chans=in_channels, output_stride=wanted)
        final = last_map(stages(trace(made, in_channels, size).rows))
    except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return False
    return final is not None and final.stride == (wanted, wanted)


def _map(traced: Trace) -> tuple[int, int]:
    """(height, width) of the last map, in cells."""
    final = last_map(stages(traced.rows))
    return (final and final.output_map) or (0, 0)


def _cells(traced: Trace) -> int:
    return math.prod(_map(traced))


def _effect(before: Trace, after: Trace) -> str:
    return f"a {by(_map(after))} last map, {after.macs / max(before.macs, 1):.1f} times the MACs ({count(after.macs)})"


def _argument(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else str(size)
