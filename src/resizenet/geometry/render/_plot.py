"""Draw maps and receptive fields over the input; matplotlib is only imported when a picture is drawn."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ..._text import format_size
from ..._tracing import Row
from ._text import format_field

_COLUMNS = 6
_MARGIN = 0.25  # around the image, as a share of its longer side
_FIELD = {"facecolor": "tab:orange", "alpha": 0.35}


def plot_stages(rows: Sequence[Row], size: tuple[int, int], title: str) -> Any:
    """Return a ``matplotlib.figure.Figure`` with one panel per stage that has a map.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    figure_module, patches = _matplotlib("figure"), _matplotlib("patches")
    shown = [row for row in rows if row.output_map]
    columns = min(_COLUMNS, max(len(shown), 1))
    lines = -(-max(len(shown), 1) // columns)
    figure = figure_module.Figure(figsize=(2.2 * columns, 2.5 * lines + 0.5), layout="constrained")
    figure.suptitle(title)
    for position, row in enumerate(shown, 1):
        _panel(figure.add_subplot(lines, columns, position), patches, row, size)
    return figure


def _matplotlib(module: str) -> Any:
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "plot: needs matplotlib, which is not installed; pip install matplotlib", name="matplotlib"
        ) from None


def _panel(axes: Any, patches: Any, row: Row, size: tuple[int, int]) -> None:
    """Draw the image, the positions of its map, and the field of the middle one, in input pixels."""
    height, width = size
    rows, columns = row.output_map or (1, 1)
    margin = _MARGIN * max(size)
    axes.set(xlim=(-margin, width + margin), ylim=(height + margin, -margin), aspect="equal", xticks=[], yticks=[])
    axes.set_title(f"{row.name}\n{format_size((rows, columns))}, field {format_field(row)}", fontsize="small")
    field = _middle_field(row)
    if row.reach in ("image", "unknown"):
        hatch = "" if row.reach == "image" else "//"
        axes.add_patch(patches.Rectangle((0, 0), width, height, hatch=hatch, **_FIELD))
    elif field:
        axes.add_patch(patches.Rectangle(*field, **_FIELD))
    style = {"color": "0.6", "linewidth": min(0.5, 15 / max(rows, columns))}  # thinner where there are many
    axes.hlines([i * height / rows for i in range(1, rows)], 0, width, **style)
    axes.vlines([i * width / columns for i in range(1, columns)], 0, height, **style)
    axes.add_patch(patches.Rectangle((0, 0), width, height, fill=False, edgecolor="black"))


def _middle_field(row: Row) -> tuple[tuple[int, int], int, int] | None:
    """Return (x, y), width and height of what the middle position sees; None where unknown."""
    if not (row.output_map and row.receptive_field and row.field_start and row.stride):
        return None
    axes = zip(row.field_start, row.output_map, row.stride, strict=True)
    y, x = (start + positions // 2 * stride for start, positions, stride in axes)
    return (x, y), row.receptive_field[1], row.receptive_field[0]
