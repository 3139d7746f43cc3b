"""Where the positions of a feature map lie in a tensor, and what they see of the image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property, reduce

from ._dims import (
    HORIZONTAL,
    UNORDERED,
    VERTICAL,
    AxisSpan,
    Dim,
    broadcast_dim,
    dim_axes,
    dim_length,
    split_dims,
    without_ones,
)
from ._field import Field, Margin

Fields = tuple[Field, Field]  # (vertical, horizontal)
_PIXEL = Field(), Field()  # a pixel sees itself


class Reach(IntEnum):
    """What a position sees of the image. A sum of positions has the largest reach among them."""

    WINDOW = 0
    GATED = 1  # a window, scaled or normalized by something that sees more
    UNKNOWN = 2
    IMAGE = 3


@dataclass(frozen=True)
class Layout:
    """The positions of a feature map in a tensor.

    Attributes:
        dims: the spans of every dimension.
        fields: what the first position sees, (vertical, horizontal); None where this and the steps are unknown.
        reach: what a position sees.
        margins: the padding among the positions, (vertical, horizontal).
    """

    dims: tuple[Dim, ...]
    fields: Fields | None
    reach: Reach = Reach.WINDOW
    margins: tuple[Margin, Margin] = (Margin(), Margin())

    @classmethod
    def untracked(cls, shape: Sequence[int], reach: Reach = Reach.UNKNOWN) -> Layout:
        """Return the layout of a tensor in which the map can no longer be located."""
        return cls(tuple((AxisSpan(n),) for n in shape), None, max(reach, Reach.UNKNOWN))

    @classmethod
    def image(cls, shape: Sequence[int], fields: Fields | None = _PIXEL, reach: Reach = Reach.WINDOW) -> Layout:
        """Return the layout of a map (B, C, H, W) with steps of 1, by default of the image itself."""
        batch, channels, height, width = map(AxisSpan, shape, (None, None, VERTICAL, HORIZONTAL))
        return cls(((batch,), (channels,), (height,), (width,)), fields, reach)

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(map(dim_length, self.dims))

    def axes(self, dims: Iterable[int] | None = None) -> set[int]:
        """Return the axes of the image along which the given dimensions run; by default all dimensions."""
        return set().union(*(dim_axes(self.dims[d]) for d in (range(len(self.dims)) if dims is None else dims)))

    def with_reach(self, least: Reach) -> Layout:
        """Raise the reach to ``least`` at least."""
        return replace(self, reach=max(self.reach, least))

    def _with_field(self, axis: int, field: Field) -> Layout:
        if self.fields is None:
            return self
        return replace(self, fields=(field, self.fields[1]) if axis == VERTICAL else (self.fields[0], field))

    def _with_margin(self, axis: int, margin: Margin) -> Layout:
        return replace(self, margins=(margin, self.margins[1]) if axis == VERTICAL else (self.margins[0], margin))

    # --- dimensions are moved, split and merged

    def permute(self, order: Sequence[int]) -> Layout:
        """Make dimension ``order[i]`` dimension i."""
        return replace(self, dims=tuple(self.dims[d] for d in order))

    def insert_dim(self, d: int, dim: Dim) -> Layout:
        """Insert a dimension."""
        return replace(self, dims=(*self.dims[:d], dim, *self.dims[d:]))

    def remove_dim(self, d: int) -> Layout:
        """Remove a dimension."""
        return replace(self, dims=(*self.dims[:d], *self.dims[d + 1 :]))

    def replace_dim(self, d: int, dim: Dim) -> Layout:
        """Put another dimension in the place of dimension ``d``."""
        return replace(self, dims=(*self.dims[:d], dim, *self.dims[d + 1 :]))

    def view(self, shape: Sequence[int]) -> Layout:
        """Return the layout of the elements in another shape; untracked where a boundary does not divide a span."""
        dims = split_dims((span for dim in self.dims for span in dim), shape)
        if dims is None:
            return Layout.untracked(shape, self.reach)
        same_spans = _map_spans(dims) == _map_spans(self.dims)
        return replace(self, dims=dims, margins=self.margins if same_spans else (Margin(), Margin()))

    def expand(self, shape: Sequence[int]) -> Layout:
        """Repeat dimensions of length 1 and add new ones in front."""
        old: list[Dim] = [*[(AxisSpan(1),)] * (len(shape) - len(self.dims)), *self.dims]
        dims = (dim if dim_length(dim) == n else (AxisSpan(n),) for dim, n in zip(old, shape, strict=True))
        return replace(self, dims=tuple(dims))

    # --- positions are left out, merged and mixed

    def slice(self, d: int, start: int, length: int, *, step: int = 1, copies: bool = False) -> Layout:
        """Keep ``length`` indices of dimension ``d`` from ``start`` on; ``step`` multiplies the stride.

        Indices below 0 and beyond the last are padding: zeros or, with ``copies``, copies of positions.
        """
        if start == 0 and length == self.shape[d]:
            return self
        dim = without_ones(self.dims[d])
        axes = dim_axes(dim)
        if not axes or UNORDERED in axes or len(dim) > 1:
            return self.replace_dim(d, (AxisSpan(length, UNORDERED if axes else None),))
        span = dim[0]
        assert span.axis is not None
        moved = self._with_field(span.axis, self.fields[span.axis].shift(start * span.step)) if self.fields else self
        margin = self.margins[span.axis].slice(start, length, span.size) if step == 1 else Margin()
        moved = moved._with_margin(span.axis, replace(margin, copies=margin.copies or copies))
        return moved.replace_dim(d, (AxisSpan(length, span.axis, span.step * step),))

    def slide(
        self, windows: Sequence[tuple[int, int, int, int]], shape: Sequence[int], *, merge_channels: bool = False
    ) -> Layout:
        """Slide a window over the last dimensions: strides multiply, and receptive fields grow by the window's extent.

        Args:
            windows: (kernel, stride, padding, dilation) along each of these dimensions.
            shape: the result's shape.
            merge_channels: whether every output channel sees all input channels.
        """
        first = len(self.dims) - len(windows)
        layout = self
        if merge_channels:
            layout = self.absorb(first - 1).replace_dim(first - 1, (AxisSpan(shape[first - 1]),))
        is_2d = len(windows) == 2 and len(shape) == 4
        if is_2d and not self.axes(range(first, len(self.dims))) and max(self.shape[first:]) > 1:
            return Layout.image(shape, None, max(self.reach, Reach.UNKNOWN))  # a map again, whatever came before
        for d, (kernel, stride, padding, dilation) in enumerate(windows, first):
            span, *others = without_ones(self.dims[d])
            if others or span.axis == UNORDERED or (span.axis is not None and self.axes([0])):
                return Layout.untracked(shape, layout.reach)
            if span.axis is not None:
                layout = layout._with_margin(span.axis, Margin())
            if span.axis is not None and layout.fields:
                field = layout.fields[span.axis].slide(kernel, padding, dilation, stride=span.step)
                layout = layout._with_field(span.axis, field)
            layout = layout.replace_dim(d, (AxisSpan(shape[d], span.axis, span.step * stride),))
        return layout

    def reduce(self, dims: Iterable[int], *, keepdim: bool = False) -> Layout:
        """Sum over dimensions: a position of the result sees what all positions in its sum see."""
        summed = sorted(dims)
        spans = [span for d in summed for span in self.dims[d] if span.axis is not None]
        layout = self
        for span in spans:
            if span.axis in (VERTICAL, HORIZONTAL) and layout.fields:
                field = layout.fields[span.axis].widen((span.size - 1) * span.step)
                layout = layout._with_field(span.axis, field)
        for d in reversed(summed):
            layout = layout.replace_dim(d, (AxisSpan(1),)) if keepdim else layout.remove_dim(d)
        return layout.with_reach(layout._reach_after_sum(spans))

    def _reach_after_sum(self, spans: Sequence[AxisSpan]) -> Reach:
        """Return what a position sees after a sum over these spans.

        It is a window as long as every summed axis still has a span, the image once no span is left, and a strip
        (unknown) otherwise.
        """
        left = {span.axis for dim in self.dims for span in dim if span.size > 1 and span.axis is not None}
        summed = {span.axis for span in spans if span.size > 1}
        if summed <= left - {UNORDERED}:
            return Reach.WINDOW
        return Reach.UNKNOWN if left else Reach.IMAGE

    def attend(self, dims: Iterable[int]) -> Layout:
        """Mix the positions along these dimensions: each stays where it is and sees all of them, as in attention."""
        mixed = set(dims)
        if not self.axes(mixed):
            return self
        return self.with_reach(Reach.UNKNOWN if self.axes(set(range(len(self.dims))) - mixed) else Reach.IMAGE)

    def modulate(self, dims: Iterable[int]) -> Layout:
        """Scale every position by a value that depends on all positions along these dimensions, as in a norm."""
        return self.with_reach(Reach.GATED) if self.axes(dims) else self

    def absorb(self, d: int) -> Layout:
        """Count the positions that dimension ``d`` holds as part of what every other position sees."""
        if not self.axes([d]):
            return self
        return self.reduce([d], keepdim=True).replace_dim(d, (AxisSpan(dim_length(self.dims[d])),))

    def absorb_channels(self, d: int) -> Layout:
        """``absorb`` a dimension of a map, unless the map itself runs along it."""
        return self.absorb(d) if self._map_dims and d not in self._map_dims else self

    # --- several tensors

    def union(self, other: Layout, *, product: bool = False) -> Layout:
        """Return the layout of an elementwise operation on two tensors, broadcast against each other.

        In a product, a factor without a map only scales the other's positions. In a sum, they see what it sees.
        """
        if self.dims == other.dims:
            return Layout(self.dims, *_union_fields((self, other)))
        first, second = sorted((self, other), key=lambda x: x.fields is None)  # known steps take precedence
        first, second = first._with_rank(len(second.dims)), second._with_rank(len(first.dims))
        first, second = first._absorb_differing(second), second._absorb_differing(first)
        layout = Layout(tuple(map(broadcast_dim, first.dims, second.dims)), None)
        maps = [x for x in (first, second) if x._has_map_of(layout)]
        if not maps or not layout.axes():
            maps = [first, second]
        fields, reach = _union_fields(maps)
        for x in (first, second):
            if x not in maps:
                reach = max(reach, Reach.GATED if product and x._is_single_position else max(x.reach, Reach.UNKNOWN))
                fields = None if x._has_map_of(layout, steps=False) else fields  # same size, but another stride
        return replace(layout, fields=fields, reach=reach)

    def _with_rank(self, rank: int) -> Layout:
        return replace(self, dims=(*[(AxisSpan(1),)] * (rank - len(self.dims)), *self.dims))

    def _absorb_differing(self, other: Layout) -> Layout:
        """Absorb the channels that hold positions in this layout but not in the other."""
        layout = self
        for d, (mine, theirs) in enumerate(zip(self.dims, other.dims, strict=False)):
            layout = layout.absorb_channels(d) if without_ones(mine) != without_ones(theirs) else layout
        return layout

    def _has_map_of(self, other: Layout, *, steps: bool = True) -> bool:
        """Whether the spans of the other's map are here too; without known steps, spans of the same sizes."""
        pairs = [(without_ones(a), without_ones(b)) for a, b in zip(self.dims, other.dims, strict=True) if dim_axes(b)]
        if steps and self.fields is not None:
            return all(a == b for a, b in pairs)
        return all([(x.size, x.axis) for x in a] == [(x.size, x.axis) for x in b] for a, b in pairs)

    @property
    def _is_single_position(self) -> bool:
        return all(span.size == 1 for dim in self.dims for span in dim if span.axis is not None)

    # --- the map

    @property
    def map(self) -> tuple[int, int] | None:
        """(height, width) of the map; None where the tensor is not a map."""
        spans = self._axis_spans
        return (spans[0].size, spans[1].size) if spans else None

    @property
    def stride(self) -> tuple[int, int] | None:
        """(vertical, horizontal) input pixels between positions of the map; None where unknown."""
        spans = self._axis_spans if self.fields else None
        return (spans[0].step, spans[1].step) if spans else None

    @property
    def first_fields(self) -> Fields | None:
        """What the map's first position sees, including the positions that its channels hold; None where unknown."""
        if not self._map_dims:
            return None
        layout = self
        for d in range(len(self.dims)):
            layout = layout.absorb_channels(d)
        return layout.fields

    def margin(self, d: int) -> Margin:
        """The padding among the positions along dimension ``d``."""
        return next((self.margins[axis] for axis in self.axes([d]) if axis in (VERTICAL, HORIZONTAL)), Margin())

    @property
    def _axis_spans(self) -> tuple[AxisSpan, AxisSpan] | None:
        """The map's vertical and horizontal span."""
        spans = [span for d in self._map_dims or () for span in self.dims[d]]
        down, across = ([span for span in spans if span.axis == axis] for axis in (VERTICAL, HORIZONTAL))
        return (down[0], across[0]) if spans else None

    @cached_property
    def _map_dims(self) -> tuple[int, ...] | None:
        """The one or two dimensions that hold exactly the map's positions."""
        axes = [tuple(span.axis for span in without_ones(dim)) for dim in self.dims]
        down, across, both = (
            [d for d, found in enumerate(axes) if found == wanted]
            for wanted in ((VERTICAL,), (HORIZONTAL,), (VERTICAL, HORIZONTAL))
        )
        if len(down) == len(across) == 1 and not both:
            return down[0], across[0]
        return tuple(both) if len(both) == 1 and not down and not across else None


def _map_spans(dims: Iterable[Dim]) -> set[AxisSpan]:
    return {span for dim in dims for span in dim if span.axis is not None}


def _union_fields(layouts: Sequence[Layout]) -> tuple[Fields | None, Reach]:
    """Return what the first position of a sum of maps sees, and its reach."""
    reach = max(x.reach for x in layouts)
    known = [x.fields for x in layouts if x.fields]
    if not known:
        return None, reach
    down, across = (reduce(Field.union, fields) for fields in zip(*known, strict=True))
    return (down, across), reach if len(known) == len(layouts) else max(reach, Reach.UNKNOWN)
