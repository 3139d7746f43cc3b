"""Warn, in words with numbers, of what an input size does to a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..._tracing import FirstLayers, Row, Trace, dropped_lines, layers, stages
from ..render._text import format_pair, format_percent, format_size

_SMALL_MAP = 2  # positions per side: on a 2x2 map a 3x3 kernel meets padding in every position


def find_warnings(traced: Trace, stem: FirstLayers | None, input_size: tuple[int, int], params: int) -> Iterator[str]:
    """Yield one sentence each, the most serious first."""
    if stem and any(extent > side for extent, side in zip(stem.field, input_size, strict=True)):
        field = format_pair(stem.field)
        yield f"the image ({format_size(input_size)}) is smaller than the stem's receptive field ({field} px)"
    yield from _small_maps(stages(traced.rows), params)
    yield from _wide_field(layers(traced.rows), input_size)
    if traced.single_value_norms:
        names = _and_others(traced.single_value_norms)
        yield (
            f"{names}: 1 value per channel and image, so BatchNorm raises in training when the last batch is 1 image; "
            "drop_last=True avoids it"
        )
    yield from _dropped_pixels(traced)


def _small_maps(found: Sequence[Row], params: int) -> Iterator[str]:
    """Warn of each run of stages with the same map if it is small, or smaller than a kernel can use."""
    for size, run in groupby((row for row in found if row.output_map and row.macs), key=lambda row: row.output_map):
        rows = list(run)
        worst = min(
            (row for row in rows if row.kernel), key=lambda row: (row.used_taps or 0) / _taps(row), default=None
        )
        if size and (max(size) <= _SMALL_MAP or (worst and (worst.used_taps or 0) < _taps(worst))):
            name = rows[0].name if len(rows) == 1 else f"{rows[0].name} to {rows[-1].name}"
            share = format_percent(sum(row.params for row in rows) / max(params, 1))
            yield f"{name}: {format_size(size)} map{_kernel(worst, size)}; {share} of the parameters"


def _taps(row: Row) -> int:
    return row.kernel[0] * row.kernel[1] if row.kernel else 1


def _kernel(row: Row | None, size: tuple[int, int]) -> str:
    if row is None or row.kernel is None or row.used_taps is None:
        return ""
    taps = _taps(row)
    covered = min(row.kernel[0], size[0]) * min(row.kernel[1], size[1])
    if row.used_taps < taps:
        kernel = f"a {format_size(row.kernel)} kernel uses {row.used_taps} of {taps} taps"
        return f", where {kernel} and the others only ever meet padding"
    if covered < taps:
        return f", where a {format_size(row.kernel)} kernel never has more than {covered} of {taps} taps inside"
    return ""


def _wide_field(found: Sequence[Row], input_size: tuple[int, int]) -> Iterator[str]:
    for row in found:
        field = row.receptive_field
        if field and row.macs and any(extent > side for extent, side in zip(field, input_size, strict=True)):
            yield f"from {row.name} on, the receptive field ({format_pair(field)} px) exceeds the image"
            return


def _dropped_pixels(traced: Trace) -> Iterator[str]:
    found = [(window, *dropped_lines(window)) for window in traced.windows]
    losses = [(window, rows, columns) for window, rows, columns in found if rows or columns]
    if not losses:
        return
    window, *counts = losses[0]
    axes = zip(counts, window.map, ("rows", "columns"), strict=True)
    lost = " and ".join(f"{n} of {side} {unit}" for n, side, unit in axes if n)
    names = _and_others([window.module or "the model" for window, _, _ in losses])
    stride, size = format_pair(window.stride), format_size(window.map)
    yield f"{names}: a stride of {stride} drops the last {lost} of the {size} map"


def _and_others(names: Sequence[str]) -> str:
    """Return the first name, and how many more there are."""
    different = list(dict.fromkeys(names))
    return different[0] if len(different) == 1 else f"{different[0]} and {len(different) - 1} more"
