"""What operations that sum over cells do to a layout: windows, reductions, norms, matrix products, attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ._layout import Layout, Reach, Run
from ._shape_rules import filled, lost, union
from ._table import Known, Rule, Window

aten = torch.ops.aten


# --- windows


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _slid(known: Known, x: Tensor, out: Tensor, weight: Tensor | None, *window: Any) -> Layout:
    """``window``: kernel, stride, padding and dilation, each an int or a pair."""
    kernel, stride, padding, dilation = (_pair(value) for value in window)
    before, after = ((t.shape[-2], t.shape[-1]) for t in (x, out))
    layout = known[x]
    margins = layout.margin(-2), layout.margin(-1)
    known.windows.append(Window(known.module, weight, before, after, kernel, stride, padding, dilation, margins))
    merges = weight is not None and (weight.shape[1] > 1 or not layout.axes([1]))
    return layout.slide(list(zip(kernel, stride, padding, dilation, strict=True)), out.shape, merge_channels=merges)


def _convolution(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    x, weight, _, stride, padding, dilation, transposed, _, groups = args
    layout = known.get(x)
    if layout is None or (layout.axes([1]) and 1 < groups < x.shape[1]):  # groups of channels may hold different cells
        return lost(known, args, out)
    if transposed:
        return _resampled(known, args, out)
    if out.ndim == 4:
        return _slid(known, x, out, weight, weight.shape[2:], stride, padding, dilation)
    return layout.slide(
        list(zip(weight.shape[2:], stride, padding, dilation, strict=True)), out.shape, merge_channels=True
    )


def _max_pool(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    x, kernel, stride, padding, dilation = filled(args, None, None, 0, 1)
    return _slid(known, x, out, None, kernel, stride or kernel, padding, dilation)


def _avg_pool(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    x, kernel, stride, padding = filled(args, None, None, 0)
    return _slid(known, x, out, None, kernel, stride or kernel, padding, 1)


def _adaptive_pool(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    """Bins of equal size are a window; a map that becomes one cell is no longer a map."""
    layout = known[args[0]]
    (height, width), (rows, columns) = args[0].shape[-2:], out.shape[-2:]
    if (rows, columns) == (1, 1) != (height, width):
        return layout.contract([out.ndim - 2, out.ndim - 1], keep=True)
    if height % rows or width % columns:
        return _resampled(known, args, out)
    return layout.slide([(side, side, 0, 1) for side in (height // rows, width // columns)], out.shape)


def _pixel_unshuffle(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    if out.ndim != 4:
        return lost(known, args, out)
    return known[args[0]].slide([(args[1], args[1], 0, 1)] * 2, out.shape, merge_channels=True)


def _resampled(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    """A map of another size whose cells are not windows of one size and distance."""
    layout = known[args[0]]
    if out.ndim == 4 and layout.map == tuple(args[0].shape[2:]):
        return Layout.image(out.shape, None, max(layout.reach, Reach.UNKNOWN))
    return lost(known, args, out)


# --- sums and norms


def _contract(layout: Layout, given: Any, out: Tensor) -> Layout:
    rank = len(layout.dims)
    dims = range(rank) if given is None or given == [] else [given] if isinstance(given, int) else given
    return layout.contract([d % rank for d in dims], keep=out.ndim == rank)


def _reduction(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return _contract(known[args[0]], args[1] if len(args) > 1 else None, out)


def _vector_norm(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return _contract(known[args[0]], args[2] if len(args) > 2 else None, out)


def _mixing(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return known[args[0]].mix([args[1] % out.ndim])


def _layer_norm(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return known[args[0]].gate(range(out.ndim - len(args[1]), out.ndim))


def _group_norm(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    return known[args[0]].gate(range(out.ndim))


def _batch_norm(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    layout = known[args[0]]
    return (
        layout.gate(range(2, out.ndim)) if args[5] is True else layout
    )  # True: by the batch's own statistics, as instance norm does


def _statistics_aside(rule: Rule) -> Rule:
    """Of a norm's outputs only the one of the input's shape is followed."""
    return lambda known, args, out: rule(known, args, out) if out.shape == args[0].shape else lost(known, args, out)


# --- matrix products and attention


def _matrix_product(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    """(..., n, k) @ (..., k, m): tokens times weights, queries times keys, scores times values."""
    (a, b), rank = map(known.get, args[:2]), out.ndim
    rows = a.dims[-2] if a else (Run(out.shape[-2]),)
    columns = b.dims[-1] if b else (Run(out.shape[-1]),)
    summed = [layout.contract([rank - i]) for i, layout in enumerate((a, b), 1) if layout]
    placed = next(
        (s for s in summed if s.axes(range(rank - 2, rank - 1))), summed[0]
    )  # what its rows or columns see, that has cells there
    layout = Layout((*placed.dims[:-1], rows, columns), placed.fields, max(s.reach for s in summed))
    token_by_token = layout.axes([rank - 2]) and layout.axes([rank - 1])
    if not token_by_token:
        return layout
    return layout.reaching(Reach.UNKNOWN if layout.axes(range(rank - 2)) else Reach.IMAGE)


def _matrix_product_plus(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    product = [_matrix_product(known, args[1:3], out)] if known.among(args[1:3]) else []
    return union([*product, *known.among(args[0])], out.shape)


def _attention(known: Known, args: Sequence[Any], out: Tensor) -> Layout:
    """Scaled dot products of queries, keys and values (B, heads, tokens, channels)."""
    if args[0] not in known or out.ndim != 4:
        return lost(known, args, out)
    tokens = known[args[0]].mix([2])
    return replace(tokens, dims=(*tokens.dims[:-1], (Run(out.shape[-1]),)))


_UPSAMPLINGS = (
    *(aten.upsample_nearest2d, aten._upsample_nearest_exact2d, aten.upsample_bilinear2d, aten.upsample_bicubic2d),
    *(aten._upsample_bilinear2d_aa, aten._upsample_bicubic2d_aa, aten.pixel_shuffle),
)
_REDUCTIONS = (
    aten.mean,
    aten.sum,
    aten.prod,
    aten.amax,
    aten.amin,
    aten.max,
    aten.min,
    aten.logsumexp,
    aten.var,
    aten.std,
    aten.var_mean,
)
_ATTENTION = (
    *(
        aten._scaled_dot_product_flash_attention,
        aten._scaled_dot_product_flash_attention_for_cpu,
        aten._scaled_dot_product_efficient_attention,
    ),
    *(aten._scaled_dot_product_cudnn_attention, aten._scaled_dot_product_fused_attention_overrideable),
)

SUMS: dict[Any, Rule] = {
    **dict.fromkeys((aten._adaptive_avg_pool2d, aten.adaptive_max_pool2d), _adaptive_pool),
    **dict.fromkeys(_UPSAMPLINGS, _resampled),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys((aten._softmax, aten._log_softmax, aten._safe_softmax, aten.cumsum), _mixing),
    **dict.fromkeys(
        (aten.native_batch_norm, aten._native_batch_norm_legit_no_training), _statistics_aside(_batch_norm)
    ),
    **dict.fromkeys((aten.mm, aten.bmm), _matrix_product),
    **dict.fromkeys((aten.addmm, aten.baddbmm), _matrix_product_plus),
    **dict.fromkeys(_ATTENTION, _attention),
    aten.pixel_unshuffle: _pixel_unshuffle,
    aten.convolution: _convolution,
    aten.max_pool2d_with_indices: _max_pool,
    aten.avg_pool2d: _avg_pool,
    aten.linalg_vector_norm: _vector_norm,
    aten.native_layer_norm: _statistics_aside(_layer_norm),
    aten.native_group_norm: _statistics_aside(_group_norm),
}
