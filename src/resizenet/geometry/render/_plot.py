"""A picture of maps and receptive fields over the input; needs matplotlib, which is loaded when a picture is drawn."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ..._tracing import Row
from ._text import by, field

_COLUMNS = 6
_MARGIN = 0.25  # of the image's longer side, shown around it


def plot_stages(rows: Sequence[Row], size: tuple[int, int], title: str) -> Any:
    """A ``matplotlib.figure.Figure`` with one panel per stage that has a map.

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
    """The image, its cells, and what the middle cell sees; everything in input pixels."""
    height, width = size
    margin = _MARGIN * max(size)
    axes.set(xlim=(-margin, width + margin), ylim=(height + margin, -margin), aspect="equal", xticks=[], yticks=[])
    axes.set_title(f"{row.name}\n{by(row.output_map or ())}, field {field(row)}", fontsize="small")
    if row.reach in ("image", "unknown"):
        hatch = "" if row.reach == "image" else "//"
        axes.add_patch(patches.Rectangle((0, 0), width, height, facecolor="tab:orange", alpha=0.35, hatch=hatch))
    elif row.output_map and row.receptive_field and row.field_start and row.stride:
        middle = [
            start + cells // 2 * stride
            for start, cells, stride in zip(row.field_start, row.output_map, row.stride, strict=True)
        ]
        axes.add_patch(
            patches.Rectangle(
                (middle[1], middle[0]),
                row.receptive_field[1],
                row.receptive_field[0],
                facecolor="tab:orange",
                alpha=0.35,
            )
        )
    if row.output_map:
        rows, columns = row.output_map
        style = {"color": "0.6", "linewidth": min(0.5, 15 / max(row.output_map))}  # thinner where there are many
        axes.hlines([i * height / rows for i in range(1, rows)], 0, width, **style)
        axes.vlines([i * width / columns for i in range(1, columns)], 0, height, **style)
    axes.add_patch(patches.Rectangle((0, 0), width, height, fill=False, edgecolor="black"))
