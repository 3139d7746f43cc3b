"""One ResNet class for every published small-image network: stem, stages of blocks, pooling, classifier."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._checks import (
    MAX_COUNT,
    MAX_REPEATS,
    check_choice,
    check_non_negative,
    check_positive,
    is_int,
    is_sequence,
    parse_number,
)
from .._errors import ArgumentError, DtypeError, ShapeError
from ..functional._fx import is_proxy
from ..functional._inputs import FLOATS, check_dense
from ._layers import MakeAct, MakeNorm, check_callable
from ._stems import STEMS, Stem, StemName


class ResNet(nn.Module):
    """A residual network for any input size and any rectangle.

    If the blocks are pre-activation blocks, the stem is only a convolution, and the network ends with norm and
    activation.

    Args:
        block: makes a block from (in_channels, out_channels) and keyword arguments, those of ``BlockOptions`` and its
            own, for example ``BasicBlock``.
        depths: blocks per stage.
        widths: output channels per stage.
        stem: "cifar" (3x3, stride 1), "no_pool" (7x7, stride 2), "imagenet" (7x7, stride 2, pool of stride 2),
            "space_to_depth" (stride 4), or a function that makes a ``Stem``.
        stem_width: output channels of the stem; by default those of the first stage.
        strides: stride of each stage's first block; by default 1 for the first stage and 2 for the others.
        output_stride: image pixels from one position of the last map to the next. Where the strides would exceed it,
            dilation replaces them and the maps stay large (Chen et al. 2017, "Rethinking Atrous Convolution", section
            3.1).
        in_channels: channels of the image.
        num_classes: outputs of the classifier; 0 leaves it out, and the pooled features are returned.
        stochastic_depth: probability that the last block's branch is dropped in training; it grows linearly with depth,
            from ``stochastic_depth / blocks`` at the first block (Huang et al. 2016, section 3).
        norm: a class or function that makes a norm from a number of channels.
        act: a class or function that makes an activation.
        **block_options: passed to every block; see ``BlockOptions``.

    Attributes:
        num_features: channels of the last map.
        feature_channels: channels of the stem's map and of every stage's.

    Raises:
        ArgumentError: lengths that differ, a number outside its range, a stem that is no function of that kind, the
            stride or dilation of a block, or an output stride that is not among the strides.
        UnknownNameError: an unknown stem.

    Example:
        >>> import torch
        >>> from resizenet.models import BasicBlock
        >>> model = ResNet(BasicBlock, (3, 3, 3), (16, 32, 64), num_classes=100)
        >>> model(torch.rand(2, 3, 32, 48)).shape
        torch.Size([2, 100])
        >>> model.forward_features(torch.rand(2, 3, 32, 48)).shape
        torch.Size([2, 64, 8, 12])
    """

    def __init__(
        self,
        block: Callable[..., nn.Module],
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        stem: StemName | Callable[..., Stem] = "cifar",
        stem_width: int | None = None,
        strides: Sequence[int] | None = None,
        output_stride: int | None = None,
        in_channels: int = 3,
        num_classes: int = 10,
        stochastic_depth: float = 0.0,
        norm: MakeNorm = nn.BatchNorm2d,
        act: MakeAct = nn.ReLU,
        **block_options: Any,
    ) -> None:
        super().__init__()
        check_callable("block", block)
        if set_here := sorted({"stride", "dilation", "first_dilation"} & block_options.keys()):
            expected = "expected no strides or dilations of single blocks, which strides and output_stride set"
            raise ArgumentError(f"{type(self).__name__}: {expected}, got {', '.join(set_here)}")
        if strides is None:
            strides = (1, *[2] * (len(depths) - 1)) if is_sequence(depths) else ()
        _check_stages(depths=depths, widths=widths, strides=strides)
        stem_width = widths[0] if stem_width is None else stem_width
        check_positive("stem_width", stem_width)
        parse_number("stochastic_depth", stochastic_depth, at_least=0, below=1)
        preactivated = _is_preactivated(block)
        layers = {"norm": norm, "act": act}
        self.in_channels = in_channels
        self.num_features = widths[-1]
        self.feature_channels: tuple[int, ...] = (stem_width, *widths)
        self.stem = _make_stem(stem, in_channels, stem_width, activate=not preactivated, **layers)
        plans = _plan_strides(self.stem.stride, strides, output_stride)
        self._strides = tuple(plan.stride for plan in plans)
        rates = (stochastic_depth * i / sum(depths) for i in itertools.count(1))
        make = functools.partial(_make_stage, block, rates, {**layers, **block_options})
        self.stages = nn.Sequential(*map(make, itertools.pairwise(self.feature_channels), depths, plans))
        self.norm = nn.Sequential(norm(widths[-1]), act()) if preactivated else nn.Identity()
        self.fc: nn.Module = nn.Identity()
        self.reset_classifier(num_classes)

    @property
    def feature_strides(self) -> tuple[int, ...]:
        """Image pixels from one position to the next, for the stem's map and for every stage's."""
        return tuple(_cumulative(self.stem.stride, self._strides))

    @property
    def output_stride(self) -> int:
        """Image pixels from one position of the last map to the next."""
        return self.feature_strides[-1]

    def _check_input(self, x: Tensor) -> None:
        check_images(type(self).__name__, x, self.in_channels)
        if not is_proxy(x) and (self.training or not torch.compiler.is_compiling()):  # exported in eval for every size
            self._check_statistics(x)

    def _check_statistics(self, x: Tensor) -> None:
        """Raise ShapeError for one image whose last map is one position, where a norm sees one value."""
        if x.shape[0] != 1 or max(x.shape[2:]) > self._largest_single_position():
            return
        for module in self.stages[-1].modules():
            alone = isinstance(module, nn.GroupNorm) and module.num_groups == module.num_channels
            if alone or (module.training and isinstance(module, nn.BatchNorm2d)):
                raise ShapeError(
                    f"{type(self).__name__}: one image of {x.shape[2]}x{x.shape[3]} is too small for a stride of "
                    f"{self.output_stride}{'' if alone else ' in train mode'}: its last map is a single position, and "
                    f"{type(module).__name__} has no variance; use more images, larger images, or a stem of a "
                    "smaller stride"
                )

    def _largest_single_position(self) -> int:
        """The largest image side whose last map is one position."""
        return self.output_stride

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> the last map, (B, num_features, ceil(H / output_stride), ceil(W / output_stride)).

        Raises:
            ShapeError: not four dimensions, no pixel, the wrong number of channels, or a single image that is too
                small for BatchNorm in train mode, or for GroupNorm with one channel per group.
            DtypeError: not a tensor, or not floating point.
        """
        self._check_input(x)
        features: Tensor = self.norm(self.stages(self.stem(x)))
        return features

    def forward_intermediates(self, x: Tensor, *, indices: Sequence[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """The last map and the maps before it; errors as in ``forward_features``.

        Args:
            x: (B, in_channels, H, W).
            indices: the maps to return, in increasing order: 0 is the map of the stem, i the map of stage i, -1 the
                last map. By default all maps.

        Returns:
            The last map, as from ``forward_features``, and a list with one map per index; the i-th has stride
            ``feature_strides[indices[i]]``.

        Raises:
            ArgumentError: indices that are out of range or do not increase.
        """
        self._check_input(x)
        chosen = parse_indices(indices, 1 + len(self.stages))
        maps = feature_maps(self.stem, self.stages, self.norm, x)
        return maps[-1], [maps[i] for i in chosen]

    def forward_head(self, features: Tensor) -> Tensor:
        """The last map, (B, num_features, H', W') -> (B, num_classes), or (B, num_features) without a classifier."""
        logits: Tensor = self.fc(features.mean((2, 3)))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, num_classes), any H and W; errors as in ``forward_features``."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The classifier; ``nn.Identity`` if there is none."""
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a newly initialized one, on the device and in the dtype of the other weights.

        Args:
            num_classes: outputs of the new classifier; 0 leaves it out.

        Raises:
            ArgumentError: a negative number of classes.
        """
        check_non_negative("num_classes", num_classes)
        self.num_classes = num_classes
        weight = next(self.parameters())
        self.fc = self._make_classifier(num_classes).to(weight.device, weight.dtype) if num_classes else nn.Identity()

    def _make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.num_features, num_classes)


def check_images(operation: str, x: Tensor, channels: int) -> None:
    """Raise ShapeError or DtypeError unless ``x`` is a floating point tensor (B, channels, H, W) with pixels."""
    if is_proxy(x):  # torch.fx traces the model
        return
    check_dense(operation, x, f"(B, {channels}, H, W)")
    if x.ndim != 4 or x.shape[1] != channels or 0 in x.shape[2:]:
        raise ShapeError(f"{operation}: expected (B, {channels}, H, W), got {tuple(x.shape)}")
    if x.dtype not in FLOATS:
        raise DtypeError(
            f"{operation}: expected a floating point image, got {x.dtype}; scale it first, for example x.float() / 255"
        )


def feature_maps(stem: nn.Module, stages: nn.Sequential, norm: nn.Module, x: Tensor) -> list[Tensor]:
    """The stem's map and every stage's map, the last one after ``norm``."""
    maps = [stem(x)]
    for stage in stages:
        maps.append(stage(maps[-1]))
    return [*maps[:-1], norm(maps[-1])]


def parse_indices(indices: Sequence[int] | None, count: int) -> list[int]:
    """The indices as non-negative numbers; all of them for None.

    Raises:
        ArgumentError: no sequence of ints, no index, one that is out of range, or an order that does not increase.
    """
    given = range(count) if indices is None else indices
    if is_sequence(given) and given and all(map(is_int, given)):
        chosen = [i + count if i < 0 else i for i in given]
        if chosen == sorted(set(chosen)) and chosen[0] >= 0 and chosen[-1] < count:
            return chosen
    raise ArgumentError(
        f"indices: expected increasing ints from 0 (the stem) to {count - 1} (the last stage), got {indices!r}"
    )


class _StagePlan(NamedTuple):
    """A stage's stride, and the dilation of its first strided convolution and of all others."""

    stride: int
    first_dilation: int
    dilation: int


def _cumulative(stem_stride: int, strides: Sequence[int]) -> list[int]:
    return list(itertools.accumulate((stem_stride, *strides), lambda before, stride: before * stride))


def _plan_strides(stem_stride: int, strides: Sequence[int], output_stride: int | None) -> list[_StagePlan]:
    """Keep the strides up to ``output_stride`` and replace those beyond it by dilation."""
    reached = _cumulative(stem_stride, strides)
    limit = reached[-1] if output_stride is None else output_stride
    if not is_int(limit) or isinstance(limit, bool) or limit not in reached:
        raise ArgumentError(
            f"output_stride: expected one of {sorted(set(reached))}, the strides of the stem and the stages, "
            f"got {output_stride!r}"
        )
    dilations = [max(1, stride // limit) for stride in reached]
    steps = zip(strides, dilations, dilations[1:], strict=False)
    return [_StagePlan(stride * before // after, before, after) for stride, before, after in steps]


def _make_stage(
    block: Callable[..., nn.Module],
    rates: Iterator[float],
    options: dict[str, Any],
    channels: tuple[int, int],
    depth: int,
    plan: _StagePlan,
) -> nn.Sequential:
    before, width = channels
    first = block(before, width, **plan._asdict(), stochastic_depth=next(rates), **options)
    rest = (
        block(width, width, dilation=plan.dilation, stochastic_depth=next(rates), **options) for _ in range(depth - 1)
    )
    return nn.Sequential(first, *rest)


def _make_stem(stem: StemName | Callable[..., Stem], in_channels: int, out_channels: int, **options: Any) -> Stem:
    if not callable(stem):
        check_choice("stem", stem, STEMS)
        return STEMS[stem](in_channels, out_channels, **options)
    try:
        made = stem(in_channels, out_channels, **options)
    except TypeError as error:
        expected = "expected a function of (in_channels, out_channels, *, activate, norm, act)"
        raise ArgumentError(f"stem: {expected}, got {stem!r}: {error}") from error
    if not isinstance(made, nn.Module) or not is_int(getattr(made, "stride", None)):
        raise ArgumentError(f"stem: expected a function that makes a Stem, got {stem!r}, which makes {made!r}")
    return made


def _is_preactivated(block: Callable[..., nn.Module]) -> bool:
    kind = block.func if isinstance(block, functools.partial) else block
    return bool(getattr(kind, "preactivated", False))


def _check_stages(**values: Sequence[int]) -> None:
    for name, numbers in values.items():
        if not is_sequence(numbers):
            raise ArgumentError(f"{name}: expected one int per stage, for example (1, 2, 2), got {numbers!r}")
    lengths = {len(numbers) for numbers in values.values()}
    if len(lengths) != 1 or 0 in lengths:
        got = ", ".join(map(repr, values.values()))
        raise ArgumentError(f"{', '.join(values)}: expected one number per stage in each, got {got}")
    for name, numbers in values.items():
        for number in numbers:
            check_positive(name, number, at_most=MAX_REPEATS if name == "depths" else MAX_COUNT)
