"""Which taps of a kernel ever meet the feature map, and which lines of the map no window reads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from ._field import Margin
from ._table import Window


def used_along(before: int, after: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """Return the taps, of 0 .. kernel - 1, that meet a position of the map in at least one window.

    The other taps only ever meet padding. The map has ``before`` positions, and the window stops ``after`` times.

    Example:
        >>> used_along(1, 1, kernel=3, stride=1, padding=1, dilation=1)
        [1]
        >>> used_along(3, 3, kernel=7, stride=1, padding=3, dilation=1)
        [1, 2, 3, 4, 5]
    """
    starts = range(-padding, -padding + after * stride, stride)
    return [tap for tap in range(kernel) if any(0 <= start + tap * dilation < before for start in starts)]


def dropped_along(before: int, after: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many positions at the end lie beyond the last window, not counting the usual gap between windows.

    Example:
        >>> dropped_along(7, 3, kernel=2, stride=2, padding=0, dilation=1)  # a 2x2 pooling of 7 positions
        1
    """
    extent = (kernel - 1) * dilation + 1
    beyond = min(before, before - ((after - 1) * stride - padding + extent))
    return max(0, beyond - max(0, stride - extent))


def _along_axes(window: Window, margins: Sequence[Margin]) -> list[tuple[int, int, int, int, int, int]]:
    """Return the arguments of the functions above, with the margins counted as padding of the window."""
    before = [n - margin.first - margin.last for n, margin in zip(window.before, margins, strict=True)]
    padding = [n + margin.first for n, margin in zip(window.padding, margins, strict=True)]
    return list(zip(before, window.after, window.kernel, window.stride, padding, window.dilation, strict=True))


def used_taps(window: Window) -> set[tuple[int, int]]:
    """Return (row, column) of the kernel's taps that meet the map, or copies of its positions."""
    zeros = [Margin() if margin.copies else margin for margin in window.margins]
    rows, columns = (used_along(*axis) for axis in _along_axes(window, zeros))
    return set(product(rows, columns))


def dropped_lines(window: Window) -> tuple[int, int]:
    """Return how many of the map's last (rows, columns) no window reads, because of its stride."""
    rows, columns = (dropped_along(*axis) for axis in _along_axes(window, window.margins))
    return rows, columns


def tap_summary(windows: Sequence[Window]) -> tuple[tuple[int, int], int, float] | tuple[None, None, None]:
    """Return the kernel that uses the smallest share of its taps, how many it uses, and the share of idle weights.

    Idle are the weights of all kernels, 0..1, that only ever meet padding. A kernel that is called several times uses a
    tap if one call does. All are None without a convolution.
    """
    calls: dict[int, list[Window]] = {}
    for window in windows:
        if window.weight is not None:
            calls.setdefault(id(window.weight), []).append(window)
    found = [
        (same[0].kernel, len(set().union(*map(used_taps, same))), same[0].weight.numel())
        for same in calls.values()
        if same[0].weight is not None
    ]
    if not found:
        return None, None, None
    kernel, used, _ = min(found, key=lambda taps: (taps[1] / prod(taps[0]), -prod(taps[0])))
    idle = sum(weights * (1 - taps / prod(size)) for size, taps, weights in found)
    return kernel, used, idle / sum(weights for *_, weights in found)
