"""What operations that move, join and scale cells do to a layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ._layout import UNORDERED, Layout, Reach, Run
from ._table import Known, Rule

aten = torch.ops.aten


def lost(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    """Of an operation that nothing is known of."""
    return Layout.lost(out.shape, max((layout.reach for layout in known.among(args)), default=Reach.UNKNOWN))


def union(layouts: Sequence[Layout], shape: Sequence[int], *, gating: bool = False) -> Layout:
    """Of the layouts' tensors broadcast to ``shape``."""
    first, *others = layouts
    for other in others:
        first = first.union(other, gating=gating)
    return first.expand(shape)


def cellwise(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    """Of an operation on every element by itself."""
    return union(known.among(args), out.shape)


def _product(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return union(known.among(args), out.shape, gating=True)


# --- the same elements elsewhere


def _view(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return known[args[0]].view(out.shape)


def _permute(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return known[args[0]].permute([d % out.ndim for d in args[1]])


def _transpose(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    order = list(range(out.ndim))
    i, j = args[1:3] if len(args) > 1 else (0, -1)
    if out.ndim > 1:
        order[i], order[j] = order[j], order[i]
    return known[args[0]].permute(order)


def _unsqueeze(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return known[args[0]].insert(args[1] % out.ndim, (Run(1),))


def _squeeze(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    layout = known[args[0]]
    given = args[1] if len(args) > 1 else range(args[0].ndim)
    for d in sorted({d % args[0].ndim for d in ([given] if isinstance(given, int) else given)}, reverse=True):
        layout = layout.remove(d) if args[0].shape[d] == 1 else layout
    return layout


def _expand(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return known[args[0]].expand(out.shape)


def _roll(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    dims = args[2] if len(args) > 2 else range(out.ndim)
    layout = known[args[0]]
    return layout.reaching(Reach.UNKNOWN) if layout.axes(dims) else layout


# --- parts and joins


def filled(args: Sequence[Any], *defaults: Any) -> list[Any]:
    """The first argument and those that have these defaults; torch leaves trailing ones out where they have their default."""
    count = len(defaults) + 1
    return [*args[:count], *defaults[len(args[:count]) - 1 :]]


def _slice(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    x, d, start, _, step = filled(args, 0, None, None, 1)
    d %= x.ndim
    start = min(max(start + x.shape[d] if start and start < 0 else start or 0, 0), x.shape[d])
    return known[x].crop(d, start, out.shape[d], step=step)


def _split(known: Known, args: Sequence[Any], out: Sequence[Tensor]) -> None:
    d = args[2] % args[0].ndim if len(args) > 2 else 0
    start = 0
    for part in out:
        known[part] = known[args[0]].crop(d, start, part.shape[d])
        start += part.shape[d]


def _select(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return _picked(known[args[0]], args[1] % args[0].ndim)


def _unbind(known: Known, args: Sequence[Any], out: Sequence[Tensor]) -> None:
    d = args[1] % args[0].ndim if len(args) > 1 else 0
    for part in out:
        known[part] = _picked(known[args[0]], d)


def _picked(layout: Layout, d: int) -> Layout:
    """One index of a dimension; a line of the map is no longer a map."""
    along = [run for run in layout.dims[d] if run.axis is not None and run.size > 1]
    return layout.remove(d).reaching(Reach.UNKNOWN if along else Reach.WINDOW)


def _cat(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    d = args[1] % out.ndim if len(args) > 1 else 0
    parts = [known[x].absorb_channels(d) for x in args[0] if x in known and x.ndim == out.ndim]
    shape = [*out.shape[:d], 1, *out.shape[d + 1 :]]
    joined = union([part.put(d, (Run(1),)) for part in parts], shape)
    cells = any(part.axes([d]) for part in parts)  # of the map beside others, such as a class token
    return joined.put(d, (Run(out.shape[d], UNORDERED if cells else None),))


def _stack(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    d = args[1] % out.ndim if len(args) > 1 else 0
    shape = [*out.shape[:d], *out.shape[d + 1 :]]
    return union(known.among(args[0]), shape).insert(d, (Run(out.shape[d]),))


def _pad(known: Known, args: Sequence[Any], out: Tensor, *, copies: bool = False) -> Layout:
    layout = known[args[0]]
    for i, before in enumerate(args[1][::2]):
        d = out.ndim - 1 - i
        if before or args[1][2 * i + 1]:
            layout = layout.crop(d, -before, out.shape[d], copies=copies)
    return layout


PARTS: dict[Any, Callable[[Known, Sequence[Any], Sequence[Tensor]], None]] = {
    aten.split: _split,
    aten.split_with_sizes: _split,
    aten.unbind: _unbind,
}

MOVES: dict[Any, Rule] = {
    **dict.fromkeys((aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias), _view),
    **dict.fromkeys((aten.transpose, aten.t, aten.transpose_, aten.t_), _transpose),
    **dict.fromkeys((aten.squeeze, aten.squeeze_), _squeeze),
    **dict.fromkeys((aten.unsqueeze, aten.unsqueeze_), _unsqueeze),
    **dict.fromkeys((aten.mul, aten.mul_, aten.div, aten.div_, aten.addcmul), _product),
    **dict.fromkeys((aten.clone, aten._to_copy, aten.alias, aten.detach, aten.copy_, aten.lift_fresh), cellwise),
    **dict.fromkeys(
        (
            aten.hardswish,
            aten.hardswish_,
            aten._prelu_kernel,
            aten.native_dropout,
            aten.as_strided_,
            aten.channel_shuffle,
        ),
        cellwise,
    ),
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
