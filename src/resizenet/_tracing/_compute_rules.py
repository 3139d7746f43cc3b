"""What happens to the positions of a map when an operation computes with several of them.

Windows (convolution, pooling) multiply the stride and widen the receptive field. Norms scale positions by statistics of
the whole map. Reductions, attention and matrix products let a position see all others, or remove the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ._dims import AxisSpan
from ._layout import Layout, Reach
from ._shape_rules import union, untracked, with_defaults
from ._table import LayoutTable, Rule, Window

aten = torch.ops.aten


# --- windows


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _slide_window(table: LayoutTable, x: Tensor, out: Tensor, weight: Tensor | None, *window: Any) -> Layout:
    """Record a 2-D window: kernel, stride, padding and dilation, each an int or a pair."""
    kernel, stride, padding, dilation = (_pair(value) for value in window)
    before, after = ((t.shape[-2], t.shape[-1]) for t in (x, out))
    layout = table[x]
    margins = layout.margin(-2), layout.margin(-1)
    table.add_window(
        Window(table.active[-1], weight, before, after, kernel, stride, padding, dilation, margins, layout.stride)
    )
    merge_channels = weight is not None and (weight.shape[1] > 1 or not layout.axes([1]))
    return layout.slide(
        list(zip(kernel, stride, padding, dilation, strict=True)), out.shape, merge_channels=merge_channels
    )


def _convolution(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """The stride is multiplied, and the field grows by the dilated kernel. A transposed convolution resamples."""
    x, weight, _, stride, padding, dilation, transposed, _, groups = args
    layout = table.get(x)
    if layout is None or (layout.axes([1]) and 1 < groups < x.shape[1]):  # a group of channels may hold other positions
        return untracked(table, args, out)
    if transposed:
        return _resample(table, args, out)
    if out.ndim == 4:
        return _slide_window(table, x, out, weight, weight.shape[2:], stride, padding, dilation)
    windows = list(zip(weight.shape[2:], stride, padding, dilation, strict=True))
    return layout.slide(windows, out.shape, merge_channels=True)


def _max_pool(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    x, kernel, stride, padding, dilation = with_defaults(args, None, None, 0, 1)
    return _slide_window(table, x, out, None, kernel, stride or kernel, padding, dilation)


def _avg_pool(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    x, kernel, stride, padding = with_defaults(args, None, None, 0)
    return _slide_window(table, x, out, None, kernel, stride or kernel, padding, 1)


def _adaptive_pool(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Bins of equal size are a window. Pooled to one position, a map is no longer a map."""
    layout = table[args[0]]
    (height, width), (rows, columns) = args[0].shape[-2:], out.shape[-2:]
    if (rows, columns) == (1, 1) != (height, width):
        return layout.reduce([out.ndim - 2, out.ndim - 1], keepdim=True)
    if height % rows or width % columns:
        return _resample(table, args, out)
    return layout.slide([(side, side, 0, 1) for side in (height // rows, width // columns)], out.shape)


def _pixel_unshuffle(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Blocks of positions become channels: the stride is multiplied by their side, and a position sees its block."""
    return table[args[0]].slide([(args[1], args[1], 0, 1)] * 2, out.shape, merge_channels=True)


def _resample(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """A map of another size whose positions see no regular windows: the stride and the field are unknown."""
    layout = table[args[0]]
    if out.ndim == 4 and layout.map == tuple(args[0].shape[2:]):
        return Layout.image(out.shape, None, max(layout.reach, Reach.UNKNOWN))
    return untracked(table, args, out)


def _resize(table: LayoutTable, args: Sequence[Any], out: Tensor, *, radius: int, antialias: bool = False) -> Layout:
    """Shrinking by a whole factor is a window, and the factor multiplies the stride; otherwise see ``_resample``.

    Convention: position centers are at half-integers, and the kernel reaches ``radius`` positions, of the output with
    ``antialias`` and of the input without. Where a center hits a position exactly, the others may have no weight.
    """
    x, _, *others = args
    align_corners, scales = any(n is True for n in others), [n for n in tree_leaves(others) if isinstance(n, float)]
    factors = [before // after for before, after in zip(x.shape[2:], out.shape[2:], strict=True)]
    whole = all(n * side == before for n, side, before in zip(factors, out.shape[2:], x.shape[2:], strict=True))
    if align_corners or not whole or table[x].map != tuple(x.shape[2:]) or scales not in ([], [1 / n for n in factors]):
        return _resample(table, args, out)
    windows = []
    for factor in factors:
        is_single = radius == 0 or factor == 1 or (factor % 2 == 1 and not antialias)
        kernel = 1 if is_single else 2 * radius * (factor if antialias else 1) - factor % 2
        windows.append((kernel, factor, (kernel - factor) // 2, 1))
    return table[x].slide(windows, out.shape)


# --- reductions and norms


def _reduction(table: LayoutTable, args: Sequence[Any], out: Tensor, *, dims_at: int = 1) -> Layout:
    """A sum over positions sees what all of them see; over the whole map, it is no longer a map."""
    rank = args[0].ndim
    given = args[dims_at] if len(args) > dims_at else None
    dims = range(rank) if given is None or given == [] else [given] if isinstance(given, int) else given
    return table[args[0]].reduce([d % rank for d in dims], keepdim=out.ndim == rank)


def _softmax(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Positions stay, and see all others along the dimension; a softmax over channels changes nothing."""
    return table[args[0]].attend([args[1] % out.ndim])


def _layer_norm(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Positions stay, and are scaled by statistics of the normalized dimensions, which may hold the map."""
    return table[args[0]].modulate(range(out.ndim - len(args[1]), out.ndim))


def _group_norm(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Positions stay, and are scaled by statistics of the whole map."""
    return table[args[0]].modulate(range(out.ndim))


def _batch_norm(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Positions stay. With statistics of the batch itself, as in instance norm, the whole map scales them."""
    layout, of_batch = table[args[0]], args[5] is True
    return layout.modulate(range(2, out.ndim)) if of_batch else layout


# --- matrix products and attention


def _matrix_product(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """(..., n, k) @ (..., k, m). Tokens times weights keep their positions; tokens times tokens see all others."""
    (a, b), rank = map(table.get, args[:2]), out.ndim
    rows = a.dims[-2] if a else (AxisSpan(out.shape[-2]),)
    columns = b.dims[-1] if b else (AxisSpan(out.shape[-1]),)
    summed = [layout.reduce([rank - i]) for i, layout in enumerate((a, b), 1) if layout]
    with_positions = next((s for s in summed if s.axes(range(rank - 2, rank - 1))), summed[0])
    layout = Layout((*with_positions.dims[:-1], rows, columns), with_positions.fields, max(s.reach for s in summed))
    if not (layout.axes([rank - 2]) and layout.axes([rank - 1])):
        return layout
    return layout.with_reach(Reach.UNKNOWN if layout.axes(range(rank - 2)) else Reach.IMAGE)


def _matrix_product_plus(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    product = [_matrix_product(table, args[1:3], out)] if table.layouts_in(args[1:3]) else []
    return union([*product, *table.layouts_in(args[0])], out.shape)


def _attention(table: LayoutTable, args: Sequence[Any], out: Tensor) -> Layout:
    """Scaled dot products of queries, keys and values (B, heads, tokens, channels): every token sees all tokens."""
    if args[0] not in table or out.ndim != 4:
        return untracked(table, args, out)
    tokens = table[args[0]].attend([2])
    return replace(tokens, dims=(*tokens.dims[:-1], (AxisSpan(out.shape[-1]),)))


_REDUCTIONS = (
    *(aten.mean, aten.sum, aten.prod, aten.amax, aten.amin, aten.max, aten.min),
    *(aten.logsumexp, aten.var, aten.std, aten.var_mean),
)
_ATTENTION = (
    *(aten._scaled_dot_product_flash_attention, aten._scaled_dot_product_flash_attention_for_cpu),
    *(aten._scaled_dot_product_efficient_attention, aten._scaled_dot_product_cudnn_attention),
    aten._scaled_dot_product_fused_attention_overrideable,
)
_BATCH_NORMS = (aten.native_batch_norm, aten._native_batch_norm_legit_no_training)

COMPUTE_RULES: dict[Any, Rule] = {
    **dict.fromkeys((aten._adaptive_avg_pool2d, aten.adaptive_max_pool2d), _adaptive_pool),
    **dict.fromkeys((aten.upsample_nearest2d, aten.pixel_shuffle), _resample),
    aten._upsample_nearest_exact2d: partial(_resize, radius=0),
    aten.upsample_bilinear2d: partial(_resize, radius=1),
    aten.upsample_bicubic2d: partial(_resize, radius=2),
    aten._upsample_bilinear2d_aa: partial(_resize, radius=1, antialias=True),
    aten._upsample_bicubic2d_aa: partial(_resize, radius=2, antialias=True),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys((aten._softmax, aten._log_softmax, aten._safe_softmax, aten.cumsum), _softmax),
    **dict.fromkeys(_BATCH_NORMS, _batch_norm),
    **dict.fromkeys((aten.mm, aten.bmm), _matrix_product),
    **dict.fromkeys((aten.addmm, aten.baddbmm), _matrix_product_plus),
    **dict.fromkeys(_ATTENTION, _attention),
    aten.pixel_unshuffle: _pixel_unshuffle,
    aten.convolution: _convolution,
    aten.max_pool2d_with_indices: _max_pool,
    aten.avg_pool2d: _avg_pool,
    aten.linalg_vector_norm: partial(_reduction, dims_at=2),
    aten.native_layer_norm: _layer_norm,
    aten.native_group_norm: _group_norm,
}
