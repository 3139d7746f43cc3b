"""Warn, in words with numbers, of what an input size does to a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import prod

from ..._text import format_pair, format_percent, format_size
from ..._tracing import FirstLayers, Row, Trace, dropped_lines, layers, stages

_SMALL_MAP = 2  # positions per side: on a 2x2 map a 3x3 kernel meets padding in every position


def find_warnings(traced: Trace, stem: FirstLayers | None, input_size: tuple[int, int], params: int) -> Iterator[str]:
    """Yield one sentence each, the most serious first."""
    if stem and any(extent > side for extent, side in zip(stem.field, input_size, strict=True)):
        field = format_pair(stem.field)
        yield f"the image ({format_size(input_size)}) is smaller than the stem's receptive field ({field} px)"
    convolutions = _convolutions(traced)
    yield from _small_maps(stages(traced.rows), list(convolutions), params)
    yield from _idle_taps(convolutions, params)
    yield from _wide_field(layers(traced.rows), input_size)
    if traced.single_value_norms:
        names = _and_others(traced.single_value_norms)
        yield (
            f"{names}: 1 value per channel and image, so BatchNorm raises in training when the last batch is 1 image; "
            "drop_last=True avoids it"
        )
    yield from _dropped_pixels(traced)


def _convolutions(traced: Trace) -> dict[Row, int]:
    """Return the rows of modules that convolve by themselves, and how many weights their kernels have."""
    weights = {
        (window.module, id(window.weight)): window.weight for window in traced.windows if window.weight is not None
    }
    numbers = Counter({module: 0 for module, _ in weights})
    for (module, _), weight in weights.items():
        numbers[module] += weight.numel()
    return {row: numbers[row.name] for row in traced.rows if row.name in numbers}


def _small_maps(found: Sequence[Row], convolutions: Sequence[Row], params: int) -> Iterator[str]:
    """Warn of each run of stages with the same small map."""
    for size, run in groupby((row for row in found if row.output_map and row.macs), key=lambda row: row.output_map):
        if size is None or max(size) > _SMALL_MAP:
            continue
        rows = list(run)
        inside = tuple(f"{row.name}." for row in rows)
        reading = [row for row in convolutions if row.input_map == size and f"{row.name}.".startswith(inside)]
        name = rows[0].name if len(rows) == 1 else f"{rows[0].name} to {rows[-1].name}"
        share = format_percent(sum(row.params for row in rows) / max(params, 1))
        yield f"{name}: {format_size(size)} map{_widest_kernel(reading, size)}; {share} of the parameters"


def _widest_kernel(convolutions: Sequence[Row], size: tuple[int, int]) -> str:
    kernel = max((row.kernel for row in convolutions if row.kernel), key=prod, default=(1, 1))
    covered = min(kernel[0], size[0]) * min(kernel[1], size[1])
    if covered == prod(kernel):
        return ""
    return f", where a {format_size(kernel)} kernel never has more than {covered} of {prod(kernel)} taps inside"


def _idle_taps(convolutions: Mapping[Row, int], params: int) -> Iterator[str]:
    """Warn of the convolutions with taps that only ever meet padding."""
    found = [(row, row.kernel, row.used_taps or 0) for row in convolutions if row.idle_taps and row.kernel]
    if not found:
        return
    _, kernel, used = min(found, key=lambda one: (one[2] / prod(one[1]), -prod(one[1])))
    share = format_percent(sum((row.idle_taps or 0) * convolutions[row] for row, *_ in found) / max(params, 1))
    names, taps = _and_others([row.name for row, *_ in found]), f"{used} of {prod(kernel)} taps"
    yield (
        f"{names}: a {format_size(kernel)} kernel uses {taps} and the others only ever meet padding; "
        f"{share} of the parameters are idle"
    )


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
