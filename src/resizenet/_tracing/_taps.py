"""Which taps of a kernel ever meet the map, and which of the map's last lines no window meets, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from ._field import Margin
from ._table import Window


def used_along(before: int, after: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """The taps, of 0 .. kernel - 1, that meet one of ``before`` cells at one of ``after`` positions or more; the others only ever meet padding.

    Example:
        >>> used_along(1, 1, kernel=3, stride=1, padding=1, dilation=1)
        [1]
        >>> used_along(3, 3, kernel=7, stride=1, padding=3, dilation=1)
        [1, 2, 3, 4, 5]
    """
    starts = range(-padding, -padding + after * stride, stride)
    return [tap for tap in range(kernel) if any(0 <= start + tap * dilation < before for start in starts)]


def dropped_along(before: int, after: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many cells at the end lie beyond the last window, more than lie between two windows anyway.

    Example:
        >>> dropped_along(7, 3, kernel=2, stride=2, padding=0, dilation=1)  # what a 2x2 pooling does to 7 cells
        1
    """
    extent = (kernel - 1) * dilation + 1
    beyond = min(before, before - ((after - 1) * stride - padding + extent))
    return max(0, beyond - max(0, stride - extent))


def _axes(window: Window, margins: Sequence[Margin]) -> list[tuple[int, int, int, int, int, int]]:
    """The arguments of the functions above, with padding of the model's own as if it was the window's."""
    before = [side - margin.first - margin.last for side, margin in zip(window.before, margins, strict=True)]
    padding = [cells + margin.first for cells, margin in zip(window.padding, margins, strict=True)]
    return list(zip(before, window.after, window.kernel, window.stride, padding, window.dilation, strict=True))


def used(window: Window) -> set[tuple[int, int]]:
    """(row, column) of the kernel's taps that meet the map, or copies of its cells."""
    down, across = (
        used_along(*axis)
        for axis in _axes(window, [Margin() if margin.copies else margin for margin in window.margins])
    )
    return set(product(down, across))


def dropped(window: Window) -> tuple[int, int]:
    """(rows, columns) of the map that the stride drops."""
    down, across = (dropped_along(*axis) for axis in _axes(window, window.margins))
    return down, across


@dataclass(frozen=True)
class Taps:
    """Of the convolutions of a module.

    Attributes:
        kernel: (height, width) of the one that uses the smallest share of its taps.
        used: how many it uses.
        idle: the share, 0..1, of the weights of all kernels that only ever meet padding.
    """

    kernel: tuple[int, int]
    used: int
    idle: float


def taps_of(windows: Sequence[Window]) -> Taps | None:
    """None without a convolution among the windows. One that is called more than once uses a tap if a call does."""
    calls: dict[int, list[Window]] = {}
    for window in windows:
        if window.weight is not None:
            calls.setdefault(id(window.weight), []).append(window)
    found = [
        (same[0].kernel, len(set().union(*map(used, same))), same[0].weight.numel())
        for same in calls.values()
        if same[0].weight is not None
    ]
    if not found:
        return None
    kernel, least, _ = min(found, key=lambda one: (one[1] / prod(one[0]), -prod(one[0])))
    idle = sum(weights * (1 - taps / prod(size)) for size, taps, weights in found)
    return Taps(kernel, least, idle / sum(weights for *_, weights in found))
