"""How the dimensions of a tensor run along the axes of the image.

A dimension is a product of spans. (B, C, H, W) has a span of batch, of channels, a vertical and a horizontal one. The
tokens of a transformer, (B, H W, C), have both in one dimension. The 7x7 windows of a Swin have two spans per axis: the
windows, and the positions inside a window. View, permute and slice move, split and merge spans.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

VERTICAL, HORIZONTAL = 0, 1
UNORDERED = 2  # positions of the map in an unknown order, such as tokens behind a class token


@dataclass(frozen=True)
class AxisSpan:
    """``size`` indices of a tensor. Along an axis of the image, index i lies i * step input pixels further on."""

    size: int
    axis: int | None = None  # None: batch, channels, heads
    step: int = 1


Dim = tuple[AxisSpan, ...]


def dim_length(dim: Dim) -> int:
    """Return the number of indices of a dimension."""
    return prod(span.size for span in dim)


def dim_axes(dim: Dim) -> set[int]:
    """Return the axes of the image that a dimension runs along."""
    return {span.axis for span in dim if span.axis is not None}


def without_ones(dim: Dim) -> Dim:
    """Leave out spans of size 1 that do not belong to the map."""
    return tuple(span for span in dim if span.size > 1 or span.axis is not None) or (AxisSpan(1),)


def merge_neighbors(spans: Iterable[AxisSpan]) -> Dim:
    """Join neighboring spans that continue each other."""
    merged: list[AxisSpan] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last and last.axis == span.axis and (span.axis in (None, UNORDERED) or last.step == span.step * span.size):
            merged[-1] = replace(span, size=last.size * span.size)
        else:
            merged.append(span)
    return tuple(merged)


def broadcast_dim(a: Dim, b: Dim) -> Dim:
    """Return the dimension of a result whose operands have dimensions ``a`` and ``b`` there."""
    if dim_length(a) != dim_length(b):
        return max(a, b, key=dim_length)
    return a if len(dim_axes(a)) >= len(dim_axes(b)) else b


def split_dims(spans: Iterable[AxisSpan], shape: Iterable[int]) -> tuple[Dim, ...] | None:
    """Distribute spans over dimensions of the given lengths; None where a boundary does not divide a span."""
    queue, lengths = list(spans), list(shape)
    dims: list[Dim] = []
    for i, length in enumerate(lengths):
        dim = _take_dim(queue, length, one_follows=lengths[i + 1 : i + 2] == [1])
        if dim is None:
            return None
        dims.append(dim)
    if dims:  # the rest of the queue are spans of size 1
        dims[-1] = merge_neighbors([*dims[-1], *(span for span in queue if span.axis is not None)])
    return tuple(dims)


def _take_dim(queue: list[AxisSpan], length: int, *, one_follows: bool) -> Dim | None:
    """Take a dimension of this length from the front of the queue; None where its end does not divide a span."""
    spans: list[AxisSpan] = []
    missing = length
    while queue and (missing > 1 or (queue[0].size == 1 and _takes_one(queue, spans, length, one_follows=one_follows))):
        span = queue.pop(0)
        if missing % span.size == 0:
            spans.append(span)
            missing //= span.size
        elif span.size % missing == 0 and span.axis != UNORDERED:
            inner = span.size // missing
            spans.append(AxisSpan(missing, span.axis, span.step * inner))
            queue.insert(0, replace(span, size=inner))
            missing = 1
        else:
            return None
    return merge_neighbors(spans) or (AxisSpan(1),)


def _takes_one(queue: list[AxisSpan], spans: list[AxisSpan], length: int, *, one_follows: bool) -> bool:
    """Whether a dimension that is already full also takes a span of size 1.

    Neighboring dimensions of length 1 take one such span each. Without a neighbor, a line of the map of length 1 stays
    with the map's other axis.
    """
    if length == 1 and not spans:
        return True
    if one_follows:
        return False
    axis = queue[0].axis
    if length > 1:
        return bool(axes := dim_axes(tuple(spans))) and axis not in axes
    longer = next((span for span in queue if span.size > 1), None)
    return axis is None or longer is None or longer.axis is None
