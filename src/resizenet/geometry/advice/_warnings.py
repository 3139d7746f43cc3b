"""What an input size does to a model, in words with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..._tracing import FirstLayers, Row, Trace, dropped_lines, layers, stages
from ..render._text import by, one, percent

_SMALL_MAP = 2  # cells per side; at 2x2 a 3x3 kernel meets padding in every position


def warnings(trace: Trace, stem: FirstLayers | None, size: tuple[int, int], params: int) -> Iterator[str]:
    """One sentence each, the largest things first."""
    if stem and any(extent > side for extent, side in zip(stem.field, size, strict=True)):
        yield f"the image ({by(size)}) is smaller than what one cell of the stem sees ({one(stem.field)} px)"
    yield from _small_maps(stages(trace.rows), params)
    yield from _wide_field(layers(trace.rows), size)
    if trace.single_value_norms:
        names = _and_others(trace.single_value_norms)
        yield f"{names}: 1 value per channel and image, so BatchNorm raises in training when the last batch is 1 image; drop_last=True avoids it"
    yield from _dropped_pixels(trace)


def _small_maps(found: Sequence[Row], params: int) -> Iterator[str]:
    """One for each run of stages with the same map, if that is small or smaller than a kernel can use."""
    for size, run in groupby((row for row in found if row.output_map and row.macs), key=lambda row: row.output_map):
        rows = list(run)
        worst = min(
            (row for row in rows if row.kernel), key=lambda row: (row.used_taps or 0) / _taps(row), default=None
        )
        if size and (max(size) <= _SMALL_MAP or (worst and (worst.used_taps or 0) < _taps(worst))):
            name = rows[0].name if len(rows) == 1 else f"{rows[0].name} to {rows[-1].name}"
            share = sum(row.params for row in rows) / max(params, 1)
            yield f"{name}: {by(size)} map{_kernel(worst, size)}; {percent(share)} of the parameters"


def _taps(row: Row) -> int:
    return row.kernel[0] * row.kernel[1] if row.kernel else 1


def _kernel(row: Row | None, size: tuple[int, int]) -> str:
    if row is None or row.kernel is None or row.used_taps is None:
        return ""
    covered = min(row.kernel[0], size[0]) * min(row.kernel[1], size[1])
    if row.used_taps < _taps(row):
        return f", where a {by(row.kernel)} kernel uses {row.used_taps} of {_taps(row)} taps and the others only ever meet padding"
    return (
        f", where a {by(row.kernel)} kernel never has more than {covered} of {_taps(row)} taps inside"
        if covered < _taps(row)
        else ""
    )


def _wide_field(found: Sequence[Row], size: tuple[int, int]) -> Iterator[str]:
    for row in found:
        if (
            row.receptive_field
            and row.macs
            and any(field > side for field, side in zip(row.receptive_field, size, strict=True))
        ):
            yield f"from {row.name} on, the receptive field ({one(row.receptive_field)} px) exceeds the image"
            return


def _dropped_pixels(trace: Trace) -> Iterator[str]:
    found = [(window, *dropped_lines(window)) for window in trace.windows]
    losses = [(window, rows, columns) for window, rows, columns in found if rows or columns]
    if losses:
        window, rows, columns = losses[0]
        lost = " and ".join(
            f"{n} of {side} {unit}"
            for n, side, unit in zip((rows, columns), window.map, ("rows", "columns"), strict=True)
            if n
        )
        names = _and_others([window.module or "the model" for window, _, _ in losses])
        yield f"{names}: a stride of {one(window.stride)} drops the last {lost} of the {by(window.map)} map"


def _and_others(names: Sequence[str]) -> str:
    """The first, and how many more."""
    different = list(dict.fromkeys(names))
    return different[0] if len(different) == 1 else f"{different[0]} and {len(different) - 1} more"
