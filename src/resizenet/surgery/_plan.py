"""Plan how a model fits an input size: from its trace, and tried on a copy without values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal, get_args

from torch import nn

from .._checks import check_choice, parse_int
from .._errors import ArgumentError, ShapeError, UnsupportedModelError
from .._sizes import Size, parse_size
from .._tracing import last_map, skeleton, stages, trace
from ..functional._positions import Convention
from ._adaptation import Adaptation
from ._changes import Change, apply_changes, describe_changes
from ._classifier import classifier_changes
from ._filters import ChannelWeights, StemWeights
from ._halvings import Step, new_stride, shorten, step_changes
from ._inspect import INSTEAD, Inspection, inspect_model
from ._positions import fit_positions
from ._records import update_records
from ._stems import Stem, channel_change, first_changes, free_steps, stem_factors

OutputStride = int | Literal["auto"]
Factors = Mapping[Step, int]

_AUTO_STRIDES = {40: 8, 95: 16}  # px of the shorter side up to which the last map gets this stride
_LARGEST_STRIDE = 32  # for larger images
_LEAST_MAP = 3  # positions per side, for images of _LEAST_SIDE px or more
_LEAST_SIDE = 17


def plan(
    model: nn.Module,
    input_size: Size,
    *,
    output_stride: OutputStride = "auto",
    in_channels: int | None = None,
    num_classes: int | None = None,
    stem: Stem = "auto",
    stem_weights: StemWeights = "area",
    channel_weights: ChannelWeights = "sum",
    positions: Convention = "timm",
) -> Adaptation:
    """Plan the changes that ``adapt`` makes, without changing the model.

    A copy of the model without values (on the meta device) is traced at the input size, changed, and traced again. So
    the changes are tried before they are returned. The plan has the size of the last map, the multiply-accumulates and
    the number of parameters before and after the changes.

    Args: as for ``adapt``.

    Raises:
        UnsupportedModelError: the model cannot be traced, or a stride, the stem or the classifier cannot be changed as
            requested. The message has the reason and an alternative.
        SizeError, ArgumentError, UnknownNameError: an argument is outside its range.

    Example:
        >>> import torchvision
        >>> print(plan(torchvision.models.mobilenet_v2(), 32, num_classes=10))
        MobileNetV2 at 32x32
        output stride 32 -> 8, last map 1x1 -> 4x4
        MACs 7.4 M -> 88.0 M, parameters 3.5 M -> 2.2 M
        features.0.0: stride 2 -> 1
        features.2.conv.1.0: stride 2 -> 1
        classifier.1: classes 1000 -> 10
    """
    size = parse_size(input_size, argument="input_size")
    check_choice("stem", stem, get_args(Stem))
    check_choice("stem_weights", stem_weights, get_args(StemWeights))
    check_choice("channel_weights", channel_weights, get_args(ChannelWeights))
    check_choice("positions", positions, get_args(Convention))
    if isinstance(output_stride, str):
        check_choice("output_stride", output_stride, ["auto"])
    stride = None if isinstance(output_stride, str) else _parse("output_stride", output_stride)
    channels, classes = _parse("in_channels", in_channels), _parse("num_classes", num_classes)
    found = inspect_model(model, size)
    others = []
    if channels is not None and channels != found.in_channels:
        others.append(channel_change(found, channels, channel_weights))
    if classes is not None:
        others += classifier_changes(found.skeleton, found.traced, classes)
    best, refusal = None, None
    for factors in _choices(found, stem, stride):
        try:
            changes = _by_module([*_stride_changes(found, factors, stem, stem_weights), *others])
            best = _try(found, factors, changes, channels, positions)
        except UnsupportedModelError as error:
            refusal = refusal or error
            continue
        if min(best.last_map[1]) >= _LEAST_MAP:
            break
    if best is None:
        raise refusal or AssertionError
    return best


def _parse(name: str, number: int | None) -> int | None:
    return None if number is None else parse_int(name, number, at_least=1, at_most=2**31 - 1)


# --- which strides change


def _choices(found: Inspection, stem: Stem, output_stride: int | None) -> list[Factors]:
    """Return the new factors of the steps that change; ``output_stride`` is None for "auto".

    For an automatic output stride there are further choices, each with one halving less. They are for models whose
    layers without padding leave less than 3x3 positions.

    Raises:
        ArgumentError: the output stride cannot be reached.
    """
    side = min(found.input_size)
    automatic = next((stride for limit, stride in _AUTO_STRIDES.items() if side <= limit), _LARGEST_STRIDE)
    named, free = stem_factors(found, stem, output_stride or automatic), free_steps(found, stem)
    if output_stride is not None:
        factors = {**named, **shorten(free, new_stride(found.stride, named), output_stride)}
        _check_stride(found, stem, output_stride, new_stride(found.stride, factors))
        return [factors]
    if stem not in ("auto", "cifar"):
        return [named]
    stride, more = new_stride(found.stride, named), automatic.bit_length() if side >= _LEAST_SIDE else 1
    choices = [{**named, **shorten(free, stride, automatic >> n)} for n in range(more)]
    return [factors for factors, _ in groupby(choices)]


def _check_stride(found: Inspection, stem: Stem, wanted: int, reached: int) -> None:
    if wanted != reached:
        raise ArgumentError(
            f'output_stride: expected a stride that {found.name} can have with stem="{stem}" (its own is '
            f"{found.stride}, and the nearest one is {reached}), got {wanted}"
        )


def _stride_changes(found: Inspection, factors: Factors, stem: Stem, stem_weights: str) -> Iterator[Change]:
    """Yield the changes that give the steps new factors, and the first convolution a kernel that fits its stride."""
    conv = found.first.conv if found.first else None
    strides = [factor for step, factor in factors.items() if conv in step.windows]
    if conv and (strides or stem in ("cifar", "fold")):
        yield from first_changes(found, stem, stem_weights, strides[0] if strides else conv.stride[0])
    for step, factor in factors.items():
        yield from step_changes(found.skeleton, found.steps, step, factor, but=conv.module if conv else None)


def _by_module(changes: Sequence[Change]) -> list[Change]:
    """Sort the changes so that those of one module follow each other."""
    paths = [change.path for change in changes]
    return sorted(changes, key=lambda change: paths.index(change.path))


# --- the plan is tried


def _try(
    found: Inspection, factors: Factors, changes: Sequence[Change], in_channels: int | None, positions: Convention
) -> Adaptation:
    """Make the changes on a copy without values, and trace it.

    Raises:
        UnsupportedModelError: the copy cannot take the images, or its stride is not that of the plan.
    """
    changed, stride = skeleton(found.skeleton, operation="adapt"), new_stride(found.stride, factors)
    try:
        apply_changes(changed, changes)
        update_records(changed, changes, {})
        fitted = fit_positions(changed, found.input_size, positions)
        traced = trace(changed, in_channels or found.in_channels, found.input_size, operation="adapt")
    except ShapeError as error:
        raise UnsupportedModelError(_failed(str(error), changes)) from error
    head = last_map(stages(traced.rows))
    if head is None or head.output_map is None or head.stride is None or max(head.stride) != stride:
        reached = max(head.stride) if head and head.stride else "unknown"
        reason = f"adapt: the output stride of {found.name} is {reached} instead of {stride}"
        raise UnsupportedModelError(_failed(reason, changes))
    before = last_map(stages(found.traced.rows)) if found.runs else None
    return Adaptation(
        model=found.name,
        input_size=found.input_size,
        changes=tuple(changes),
        fitted=tuple(fitted),
        positions=positions,
        strides=tuple((old, new_stride(old, factors)) for old in _strides(found)),
        output_stride=(found.stride, stride),
        last_map=(before.output_map if before else None, head.output_map),
        macs=(found.traced.macs if before else None, traced.macs),
        params=(_count(found.skeleton), _count(changed)),
    )


def _failed(reason: str, changes: Sequence[Change]) -> str:
    planned = "; ".join(describe_changes(changes)) or "none"
    return f'{reason} (changes that were tried: {planned}); choose another output_stride or stem="keep", or {INSTEAD}'


def _strides(found: Inspection) -> list[int]:
    """Return the strides of all maps at the end of a step."""
    return sorted({found.stride, *(step.start * step.factor for step in found.steps)})


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
