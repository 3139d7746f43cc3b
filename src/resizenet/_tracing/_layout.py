"""Where the cells of a map lie in a tensor: which of its indices run down the image, which run across it, and what a cell sees.

A tensor's dimensions are products of runs. (B, C, H, W) is batch, channels, a run down and a run across; the tokens of a transformer, (B, H W, C), have both
runs in one dimension; the 7x7 windows of a Swin have a run of windows and a run of cells within them for either axis. View, permute and
slice move, split and merge the runs, and the map is found again behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import reduce
from math import prod

from ._field import Field, Margin

DOWN, ACROSS = 0, 1
UNORDERED = 2  # cells in no order that can be told, such as tokens behind a class token

Fields = tuple[Field, Field]  # (vertical, horizontal)


_PIXELS = (Field(), Field())  # of the image itself


class Reach(IntEnum):
    """What a cell sees of the image. Of a sum, the largest."""

    WINDOW = 0
    GATED = 1  # a window, scaled or normalised by something that sees more
    UNKNOWN = 2
    IMAGE = 3


@dataclass(frozen=True)
class Run:
    """``size`` indices of a tensor; along an axis of the image, index i lies i * step input pixels further."""

    size: int
    axis: int | None = None  # None: batch, channels, heads
    step: int = 1


Dim = tuple[Run, ...]


def _length(dim: Dim) -> int:
    return prod(run.size for run in dim)


def _axes(dim: Dim) -> set[int]:
    return {run.axis for run in dim if run.axis is not None}


def _lines(dims: Iterable[Dim]) -> set[Run]:
    """The runs along the image."""
    return {run for dim in dims for run in dim if run.axis is not None}


def _core(dim: Dim) -> Dim:
    """Without runs of 1 that are not the map's."""
    return tuple(run for run in dim if run.size > 1 or run.axis is not None) or (Run(1),)


def _merged(runs: Iterable[Run]) -> Dim:
    """Neighbours that are one run written as two become one."""
    done: list[Run] = []
    for run in runs:
        last = done[-1] if done else None
        if last and last.axis == run.axis and (run.axis in (None, UNORDERED) or last.step == run.step * run.size):
            done[-1] = replace(run, size=last.size * run.size)
        else:
            done.append(run)
    return tuple(done)


@dataclass(frozen=True)
class Layout:
    """The runs of every dimension, what the first cell sees (None: not known, and no step is), the reach, and (vertical, horizontal) padding."""

    dims: tuple[Dim, ...]
    fields: Fields | None
    reach: Reach = Reach.WINDOW
    margins: tuple[Margin, Margin] = (Margin(), Margin())

    @classmethod
    def lost(cls, shape: Sequence[int], reach: Reach = Reach.UNKNOWN) -> Layout:
        """Of a tensor in which the map can no longer be told."""
        return cls(tuple((Run(n),) for n in shape), None, max(reach, Reach.UNKNOWN))

    @classmethod
    def image(cls, shape: Sequence[int], fields: Fields | None = _PIXELS, reach: Reach = Reach.WINDOW) -> Layout:
        """Of (B, C, H, W)."""
        batch, channels, height, width = shape
        return cls(((Run(batch),), (Run(channels),), (Run(height, DOWN),), (Run(width, ACROSS),)), fields, reach)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(map(_length, self.dims))

    def axes(self, dims: Iterable[int] | None = None) -> set[int]:
        """The axes of the image along which these dimensions run; all unless given."""
        return set().union(*(_axes(self.dims[d]) for d in (range(len(self.dims)) if dims is None else dims)))

    def reaching(self, reach: Reach) -> Layout:
        """At least so far."""
        return replace(self, reach=max(self.reach, reach))

    def _with_field(self, axis: int, field: Field | None) -> Layout:
        if self.fields is None or field is None:
            return replace(self, fields=None)
        return replace(self, fields=(field, self.fields[1]) if axis == DOWN else (self.fields[0], field))

    def _with_margin(self, axis: int, margin: Margin) -> Layout:
        return replace(self, margins=(margin, self.margins[1]) if axis == DOWN else (self.margins[0], margin))

    # --- dimensions moved, split and merged

    def permute(self, order: Sequence[int]) -> Layout:
        """Dimension i is what dimension ``order[i]`` was."""
        return replace(self, dims=tuple(self.dims[d] for d in order))

    def insert(self, position: int, dim: Dim) -> Layout:
        """One dimension more."""
        return replace(self, dims=(*self.dims[:position], dim, *self.dims[position:]))

    def remove(self, position: int) -> Layout:
        """One dimension less."""
        return replace(self, dims=(*self.dims[:position], *self.dims[position + 1 :]))

    def put(self, position: int, dim: Dim) -> Layout:
        """Another dimension in its place."""
        return replace(self, dims=(*self.dims[:position], dim, *self.dims[position + 1 :]))

    def view(self, shape: Sequence[int]) -> Layout:
        """The same elements in another shape; lost where a boundary falls inside a run that it does not divide."""
        queue = [run for dim in self.dims for run in dim]
        dims: list[Dim] = []
        for position, length in enumerate(shape):
            dim = _take(queue, length, one_follows=tuple(shape[position + 1 : position + 2]) == (1,))
            if dim is None:
                return Layout.lost(shape, self.reach)
            dims.append(dim)
        if dims:  # what is left are ones
            dims[-1] = _merged([*dims[-1], *(run for run in queue if run.axis is not None)])
        same_cells = _lines(dims) == _lines(self.dims)
        return replace(self, dims=tuple(dims), margins=self.margins if same_cells else (Margin(), Margin()))

    def expand(self, shape: Sequence[int]) -> Layout:
        """Dimensions of 1 repeated, new ones in front."""
        old: list[Dim] = [*[(Run(1),)] * (len(shape) - len(self.dims)), *self.dims]
        return replace(
            self, dims=tuple(dim if _length(dim) == n else (Run(n),) for dim, n in zip(old, shape, strict=True))
        )

    # --- cells left out, merged and mixed

    def crop(self, position: int, start: int, length: int, *, step: int = 1, copies: bool = False) -> Layout:
        """``length`` indices of a dimension from ``start`` on, or from before it where negative; beyond it is padding, or ``copies`` of cells."""
        if start == 0 and length == self.shape[position]:
            return self
        dim = _core(self.dims[position])
        axes = _axes(dim)
        if not axes or UNORDERED in axes or len(dim) > 1:
            return self.put(position, (Run(length, UNORDERED if axes else None),))
        run = dim[0]
        assert run.axis is not None
        moved = self._with_field(run.axis, self.fields[run.axis].shift(start * run.step) if self.fields else None)
        margin = self.margins[run.axis].crop(start, length, run.size) if step == 1 else Margin()
        moved = moved._with_margin(run.axis, replace(margin, copies=margin.copies or copies))
        return moved.put(position, (Run(length, run.axis, run.step * step),))

    def slide(
        self, windows: Sequence[tuple[int, int, int, int]], shape: Sequence[int], *, merge_channels: bool = False
    ) -> Layout:
        """(B, C, ...) after a window slid over its last dimensions; ``windows`` has kernel, stride, padding and dilation of each."""
        first = len(self.dims) - len(windows)
        layout = self.absorb(first - 1).put(first - 1, (Run(shape[first - 1]),)) if merge_channels else self
        if (
            len(windows) == 2
            and not self.axes(range(first, len(self.dims)))
            and max(self.shape[first:]) > 1
            and len(shape) == 4
        ):
            return Layout.image(shape, None, max(self.reach, Reach.UNKNOWN))  # a map again, whatever came before
        for d, (kernel, stride, padding, dilation) in enumerate(windows, first):
            dim = _core(self.dims[d])
            run = dim[0]
            if len(dim) > 1 or run.axis == UNORDERED or (run.axis is not None and self.axes([0])):
                return Layout.lost(shape, layout.reach)
            step = run.step * stride
            if run.axis is not None:
                layout = layout._with_margin(run.axis, Margin())
            if run.axis is not None and layout.fields:
                layout = layout._with_field(
                    run.axis, layout.fields[run.axis].slide(kernel, padding, dilation, stride=run.step)
                )
            layout = layout.put(d, (Run(shape[d], run.axis, step),))
        return layout

    def contract(self, dims: Iterable[int], *, keep: bool = False) -> Layout:
        """Sums over dimensions: a cell of the result sees all that it is a sum of. With ``keep``, they stay as ones."""
        gone = sorted(dims)
        runs = [run for d in gone for run in self.dims[d] if run.axis is not None]
        layout = self
        for run in runs:
            if run.axis in (DOWN, ACROSS) and layout.fields:
                layout = layout._with_field(run.axis, layout.fields[run.axis].widen((run.size - 1) * run.step))
        for d in reversed(gone):
            layout = layout.put(d, (Run(1),)) if keep else layout.remove(d)
        return layout.reaching(layout._reach_without(runs))

    def _reach_without(self, runs: Sequence[Run]) -> Reach:
        """What is seen once these runs were summed over: a window while both axes still run, else all, or a strip."""
        left = {run.axis for dim in self.dims for run in dim if run.size > 1 and run.axis is not None}
        summed = {run.axis for run in runs if run.size > 1}
        if summed <= left - {UNORDERED}:
            return Reach.WINDOW
        return Reach.UNKNOWN if left else Reach.IMAGE

    def mix(self, dims: Iterable[int]) -> Layout:
        """Every cell sees all cells along these dimensions, and stays where it is: attention, a softmax over tokens."""
        mixed = set(dims)
        if not self.axes(mixed):
            return self
        return self.reaching(Reach.UNKNOWN if self.axes(set(range(len(self.dims))) - mixed) else Reach.IMAGE)

    def gate(self, dims: Iterable[int]) -> Layout:
        """Every cell is scaled by something that sees all cells along these dimensions: a norm over the map."""
        return self.reaching(Reach.GATED) if self.axes(dims) else self

    # --- several tensors

    def union(self, other: Layout, *, gating: bool = False) -> Layout:
        """Of an elementwise operation; with ``gating``, a product, whose factor without a map scales the other one's cells."""
        mine, theirs = sorted((self, other), key=lambda x: x.fields is None)  # steps are told by those that know them
        mine, theirs = mine._padded(len(theirs.dims)), theirs._padded(len(mine.dims))
        mine, theirs = mine._beside(theirs), theirs._beside(mine)
        layout = Layout(tuple(map(_dominant, mine.dims, theirs.dims)), None)
        present = [x for x in (mine, theirs) if x._agrees(layout)]
        if not present or not layout.axes():
            present = [mine, theirs]
        fields, reach = _meet(present)
        for x in (mine, theirs):
            if x not in present:
                reach = max(reach, Reach.GATED if gating and x._is_vector else max(x.reach, Reach.UNKNOWN))
                fields = None if x._agrees(layout, steps=False) else fields  # maps of one size and different strides
        return replace(layout, fields=fields, reach=reach)

    def _padded(self, rank: int) -> Layout:
        return replace(self, dims=(*[(Run(1),)] * (rank - len(self.dims)), *self.dims))

    def _beside(self, other: Layout) -> Layout:
        """What only this one's channels hold of other cells becomes part of what its cells see."""
        layout = self
        for d, (dim, theirs) in enumerate(zip(self.dims, other.dims, strict=False)):
            layout = layout.absorb_channels(d) if _core(dim) != _core(theirs) else layout
        return layout

    def absorb_channels(self, position: int) -> Layout:
        """``absorb`` for a dimension of a map that is not the map's own."""
        return self.absorb(position) if self._place and position not in self._place else self

    def absorb(self, position: int) -> Layout:
        """What a dimension holds of other cells becomes part of what every cell sees."""
        return (
            self.contract([position], keep=True).put(position, (Run(_length(self.dims[position])),))
            if self.axes([position])
            else self
        )

    def _agrees(self, other: Layout, *, steps: bool = True) -> bool:
        """Whether it has the same runs along the image; without known steps, runs of the same size."""
        with_steps = steps and self.fields is not None
        pairs = [(_core(a), _core(b)) for a, b in zip(self.dims, other.dims, strict=True) if _axes(b)]
        return all(
            a == b if with_steps else [(x.size, x.axis) for x in a] == [(x.size, x.axis) for x in b] for a, b in pairs
        )

    @property
    def _is_vector(self) -> bool:
        return all(run.size == 1 for dim in self.dims for run in dim if run.axis is not None)

    # --- the map

    @property
    def map(self) -> tuple[int, int] | None:
        """(vertical, horizontal) cells, None where the tensor is not a map."""
        place = self._place
        return (self._run(place, DOWN).size, self._run(place, ACROSS).size) if place else None

    @property
    def stride(self) -> tuple[int, int] | None:
        """(vertical, horizontal) input pixels between cells of the map; None where that is unknown."""
        place = self._place
        return (self._run(place, DOWN).step, self._run(place, ACROSS).step) if self.fields and place else None

    @property
    def cell(self) -> Fields | None:
        """What the map's first cell sees, with all that its channels hold of other cells; None where that is unknown."""
        place = self._place
        if not place:
            return None
        layout = self
        for d in range(len(self.dims)):
            layout = layout.absorb_channels(d)
        return layout.fields

    def margin(self, position: int) -> Margin:
        """The padding among a dimension's cells."""
        return next((self.margins[axis] for axis in self.axes([position]) if axis in (DOWN, ACROSS)), Margin())

    def _run(self, place: Sequence[int], axis: int) -> Run:
        return next(run for d in place for run in self.dims[d] if run.axis == axis)

    @property
    def _place(self) -> tuple[int, ...] | None:
        """The dimension or the two that hold exactly the map's cells."""
        whole = [(d, tuple(run.axis for run in _core(dim))) for d, dim in enumerate(self.dims)]
        down, across, both = (
            [d for d, axes in whole if axes == wanted] for wanted in ((DOWN,), (ACROSS,), (DOWN, ACROSS))
        )
        if len(down) == len(across) == 1 and not both:
            return down[0], across[0]
        return tuple(both) if len(both) == 1 and not down and not across else None


def _dominant(mine: Dim, theirs: Dim) -> Dim:
    """Of two dimensions that are broadcast against each other."""
    if _length(mine) != _length(theirs):
        return mine if _length(mine) > _length(theirs) else theirs
    return mine if len(_axes(mine)) >= len(_axes(theirs)) else theirs


def _meet(layouts: Sequence[Layout]) -> tuple[Fields | None, Reach]:
    """What the first cell of a sum of maps sees, and its reach."""
    reach = max(x.reach for x in layouts)
    known = [x.fields for x in layouts if x.fields]
    if not known:
        return None, reach
    down, across = (reduce(Field.union, fields) for fields in zip(*known, strict=True))
    return (down, across), reach if len(known) == len(layouts) else max(reach, Reach.UNKNOWN)


def _take(queue: list[Run], length: int, *, one_follows: bool) -> Dim | None:
    """A dimension of this length off the front of the queue; None where its end falls inside a run that it does not divide."""
    runs: list[Run] = []
    missing = length
    while queue and (missing > 1 or (queue[0].size == 1 and _takes_one(queue, runs, length, one_follows))):
        run = queue.pop(0)
        if missing % run.size == 0:
            runs.append(run)
            missing //= run.size
        elif run.size % missing == 0 and run.axis != UNORDERED:
            inner = run.size // missing
            runs.append(Run(missing, run.axis, run.step * inner))
            queue.insert(0, replace(run, size=inner))
            missing = 1
        else:
            return None
    return _merged(runs) or (Run(1),)


def _takes_one(queue: list[Run], runs: list[Run], length: int, one_follows: bool) -> bool:
    """Whether a dimension that is full takes a run of 1 as well.

    Neighbouring dimensions of 1 share such runs out, one each. Where there is no next, the map's lines of 1 stay with its other line.
    """
    if length == 1 and not runs:
        return True
    if one_follows:
        return False
    if length > 1:
        return queue[0].axis not in (axes := _axes(tuple(runs))) and bool(axes)
    longer = next((run for run in queue if run.size > 1), None)
    return queue[0].axis is None or longer is None or longer.axis is None
