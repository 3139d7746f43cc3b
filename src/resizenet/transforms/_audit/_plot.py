"""The picture of an audit; matplotlib is only imported when it is drawn."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from torch import Tensor


def plot_audit(pictures: Sequence[Tensor], kernels: Sequence[Tensor]) -> Any:
    """Return a figure: the results, their difference enlarged to the full range, and the impulse responses."""
    try:
        figure_module: Any = importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "plot: needs matplotlib, which is not installed; pip install matplotlib", name="matplotlib"
        ) from None
    names = ("train", "serve")[: len(pictures)] if len(pictures) > 1 else ("pipeline",)
    panels = [
        (name, picture, {"cmap": "gray", "vmin": 0, "vmax": 255}) for name, picture in zip(names, pictures, strict=True)
    ]
    if len(pictures) > 1:
        gap = pictures[1] - pictures[0]
        reach = max(float(gap.abs().max()), 1e-3)
        panels.append((f"difference, at most {reach:.3g} levels", gap, {"cmap": "RdBu", "vmin": -reach, "vmax": reach}))
    top = max(float(kernel.abs().max()) for kernel in kernels)
    panels += [
        (f"impulse, {name}", kernel, {"cmap": "RdBu", "vmin": -top, "vmax": top})
        for name, kernel in zip(names, kernels, strict=True)
    ]
    figure = figure_module.Figure(figsize=(3 * len(panels), 3.2), layout="constrained")
    for position, (title, picture, style) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), position)
        axes.imshow(picture.numpy(), interpolation="nearest", **style)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    return figure
