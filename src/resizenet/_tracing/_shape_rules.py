"""What happens to the positions of a map when an operation moves, joins or scales them one by one.

A rule returns the layout of the operation's output. None of these operations enlarges a receptive field, except that a
sum or a concatenation sees what all its parts see. Only slices with a step multiply the stride.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ._dims import UNORDERED, AxisSpan
from ._layout import Layout, Reach
from ._table import LayoutTable, Rule

aten = torch.ops.aten


def untracked(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """An operation without a rule: where the positions are is unknown from here on."""
    return Layout.untracked(out.shape, max((layout.reach for layout in table.layouts_in(args)), default=Reach.UNKNOWN))


def union(layouts: Sequence[Layout], shape: Sequence[int], *, product: bool = False) -> Layout:
    """Return the layout of tensors that are broadcast to ``shape`` and combined element by element."""
    first, *others = layouts
    for other in others:
        first = first.union(other, product=product)
    return first.expand(shape)


def pointwise(table: LayoutTable, args: Sequence[Any], out: Tensor, *, product: bool = False) -> Layout:
    """Every element by itself: positions stay, and see what the same positions of all inputs see.

    In a product, a factor without a map only scales positions: a gate, as in squeeze-and-excitation.
    """
    return union(table.layouts_in(args), out.shape, product=product)


# --- the same elements in other dimensions: positions, strides and fields stay


def _view(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    return table[args[0]].view(out.shape)


def _permute(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    return table[args[0]].permute([d % out.ndim for d in args[1]])


def _transpose(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    order = list(range(out.ndim))
    i, j = args[1:3] if len(args) > 1 else (0, -1)
    if out.ndim > 1:
        order[i], order[j] = order[j], order[i]
    return table[args[0]].permute(order)


def _unsqueeze(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    return table[args[0]].insert_dim(args[1] % out.ndim, (AxisSpan(1),))


def _squeeze(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    layout = table[args[0]]
    given = args[1] if len(args) > 1 else range(args[0].ndim)
    for d in sorted({d % args[0].ndim for d in ([given] if isinstance(given, int) else given)}, reverse=True):
        layout = layout.remove_dim(d) if args[0].shape[d] == 1 else layout
    return layout


def _expand(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    return table[args[0]].expand(out.shape)


def _roll(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Positions move across the border, so what one sees is no longer the same window everywhere."""
    dims = args[2] if len(args) > 2 else range(out.ndim)
    layout = table[args[0]]
    return layout.with_reach(Reach.UNKNOWN) if layout.axes(dims) else layout


# --- parts and joins


def with_defaults(args: Sequence[Any], *defaults: Any) -> list[Any]:
    """Return the first argument and those that follow; torch omits trailing arguments that have their default."""
    given = args[: len(defaults) + 1]
    return [*given, *defaults[len(given) - 1 :]]


def _slice(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Keep part of the positions: the field of the first one is shifted, and a step multiplies the stride."""
    x, d, start, _, step = with_defaults(args, 0, None, None, 1)
    d %= x.ndim
    start = min(max(start + x.shape[d] if start and start < 0 else start or 0, 0), x.shape[d])
    return table[x].slice(d, start, out.shape[d], step=step)


def _split(table: LayoutTable, args: Sequence[Any], out: Sequence[Tensor]) -> None:
    d = args[2] % args[0].ndim if len(args) > 2 else 0
    start = 0
    for part in out:
        table[part] = table[args[0]].slice(d, start, part.shape[d])
        start += part.shape[d]


def _select(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    return _take_index(table[args[0]], args[1] % args[0].ndim)


def _unbind(table: LayoutTable, args: Sequence[Any], out: Sequence[Tensor]) -> None:
    d = args[1] % args[0].ndim if len(args) > 1 else 0
    for part in out:
        table[part] = _take_index(table[args[0]], d)


def _take_index(layout: Layout, d: int) -> Layout:
    """Keep one index of a dimension; a single line of a map is no longer a map."""
    is_line = any(span.axis is not None and span.size > 1 for span in layout.dims[d])
    return layout.remove_dim(d).with_reach(Reach.UNKNOWN if is_line else Reach.WINDOW)


def _cat(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Maps side by side as channels see what all of them see. A map beside other tokens loses its order."""
    d = args[1] % out.ndim if len(args) > 1 else 0
    parts = [table[x].absorb_channels(d) for x in args[0] if x in table and x.ndim == out.ndim]
    shape = [*out.shape[:d], 1, *out.shape[d + 1 :]]
    joined = union([part.replace_dim(d, (AxisSpan(1),)) for part in parts], shape)
    unordered = any(part.axes([d]) for part in parts)
    return joined.replace_dim(d, (AxisSpan(out.shape[d], UNORDERED if unordered else None),))


def _stack(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    d = args[1] % out.ndim if len(args) > 1 else 0
    shape = [*out.shape[:d], *out.shape[d + 1 :]]
    return union(table.layouts_in(args[0]), shape).insert_dim(d, (AxisSpan(out.shape[d]),))


def _pad(table: LayoutTable, args: Sequence[Any], out: Tensor, *, copies: bool = False) -> Layout:
    """New positions around the map: the first one sees pixels further back; the padding is kept as a margin."""
    layout = table[args[0]]
    for i, before in enumerate(args[1][::2]):
        d = out.ndim - 1 - i
        if before or args[1][2 * i + 1]:
            layout = layout.slice(d, -before, out.shape[d], copies=copies)
    return layout


MULTI_OUTPUT_RULES: dict[Any, Callable[[LayoutTable, Sequence[Any], Sequence[Tensor]], None]] = {
    aten.split: _split,
    aten.split_with_sizes: _split,
    aten.unbind: _unbind,
}

SHAPE_RULES: dict[Any, Rule] = {
    **dict.fromkeys((aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias), _view),
    **dict.fromkeys((aten.transpose, aten.t, aten.transpose_, aten.t_), _transpose),
    **dict.fromkeys((aten.squeeze, aten.squeeze_), _squeeze),
    **dict.fromkeys((aten.unsqueeze, aten.unsqueeze_), _unsqueeze),
    **dict.fromkeys((aten.mul, aten.mul_, aten.div, aten.div_, aten.addcmul), partial(pointwise, product=True)),
    **dict.fromkeys((aten.clone, aten._to_copy, aten.alias, aten.detach, aten.copy_, aten.lift_fresh), pointwise),
    **dict.fromkeys((aten.hardswish, aten.hardswish_, aten._prelu_kernel, aten.native_dropout), pointwise),
    **dict.fromkeys((aten.as_strided_, aten.channel_shuffle), pointwise),
    **dict.fromkeys((aten.reflection_pad2d, aten.replication_pad2d), partial(_pad, copies=True)),
    aten.constant_pad_nd: _pad,
    aten.permute: _permute,
    aten.expand: _expand,
    aten.roll: _roll,
    aten.slice: _slice,
    aten.select: _select,
    aten.cat: _cat,
    aten.stack: _stack,
}
