"""Pictures of the records of one version of an experiment, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from benchmarks._records import Record

from ._cifar import EVAL_SIZES
from ._experiment import Experiment
from ._statistics import Values, half_width, mean
from ._tables import Arms, accuracies, apparent_size_ratio, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@contextmanager
def _figure(
    file: Path, size: tuple[float, float], panels: tuple[int, int] = (1, 1), **options: object
) -> Iterator[Any]:
    """Yield a figure and its panels (an array), and save the figure at the end, always with the same bytes."""
    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": file.stem}):
        figure, axes = plt.subplots(*panels, figsize=size, layout="constrained", squeeze=False, **options)
        yield figure, axes
        figure.savefig(file, metadata={"Creator": None, "Date": None})
    plt.close(figure)


def _gaps(values: Values) -> list[float]:
    """Return the values with a gap where a run diverged."""
    return [math.nan if value is None else value for value in values]


def _mean(values: Values) -> float:
    return _gaps([mean(values)])[0]


def _by_epoch(record: Record, key: str) -> tuple[list[int], list[float]]:
    return [epoch["epoch"] for epoch in record["curve"]], _gaps([epoch[key] for epoch in record["curve"]])


def _label(name: str, values: Values) -> str:
    return f"{name} (diverged)" if None in values else name


def _colored(arms: Arms) -> Iterator[tuple[str, list[Record], Any]]:
    for index, (name, records) in enumerate(arms.items()):
        yield name, records, mpl.colormaps["tab20"](index % 20)


def curves(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Test accuracy by epoch, one color per arm and one line per seed."""
    with _figure(file, (8, 4.5)) as (figure, axes):
        panel: Axes = axes[0, 0]
        for name, records, color in _colored(arms):
            label = _label(name, [epoch["accuracy"] for record in records for epoch in record["curve"]])
            for record in records:
                style = {"color": color, "marker": "o", "markersize": 3}
                panel.plot(*_by_epoch(record, "accuracy"), label=label if record is records[0] else None, **style)
        panel.set(xlabel="epoch", ylabel="test accuracy (%)")
        panel.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside right upper", fontsize="small")


def against(cost: Callable[[list[Record]], float], axis: str) -> Callable[[Experiment, Arms, Path], None]:
    """Return a plot of the accuracy against a cost, with every seed and the 95 % interval of the mean."""

    def draw(experiment: Experiment, arms: Arms, file: Path) -> None:
        from matplotlib import ticker

        with _figure(file, (8, 4.5)) as (figure, axes):
            panel: Axes = axes[0, 0]
            for name, records, color in _colored(arms):
                values, x = accuracies(records), cost(records)
                style = {"color": color, "linestyle": "none"}
                half, label = half_width(values), _label(name, values)
                panel.errorbar(x, _mean(values), yerr=half, marker="o", capsize=4, label=label, **style)
                panel.plot([x] * len(values), _gaps(values), marker="_", **style)
            panel.set(xscale="log", xlabel=axis, ylabel="test accuracy, last epoch (%)")
            panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            panel.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
            panel.xaxis.set_minor_formatter(ticker.NullFormatter())
            figure.legend(loc="outside right upper", fontsize="small")

    return draw


def headline(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Mean accuracy of every arm, the cheapest first."""
    rows = sorted(arms.items(), key=lambda arm: arm[1][0]["macs"])
    with _figure(file, (7, 0.8 + 0.32 * len(rows))) as (_, axes):
        panel: Axes = axes[0, 0]
        names = []
        for row, (name, records) in enumerate(rows):
            value = _mean(accuracies(records))
            panel.plot(
                value, row, color="tab:orange" if name.startswith(("small", "folded")) else "tab:blue", marker="o"
            )
            if math.isfinite(value):
                panel.annotate(f"{value:.1f} %", (value, row), (8, 0), textcoords="offset points", va="center")
            names.append(f"{_label(name, accuracies(records))}, {records[0]['macs'] / 1e6:.1f} M MACs")
        panel.set_yticks(range(len(rows)), names)
        panel.set(xlabel="test accuracy (%)", ylim=(len(rows) - 0.5, -0.5))
        panel.margins(x=0.22)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="x", alpha=0.3)


def arms_plot(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Every seed of every arm, the mean and its 95 % interval, and a line at the reference's mean."""
    with _figure(file, (8, 1 + 0.35 * len(arms))) as (_, axes):
        panel: Axes = axes[0, 0]
        for row, records in enumerate(arms.values()):
            values, style = accuracies(records), {"marker": "o", "markersize": 4, "linestyle": "none"}
            panel.plot(_gaps(values), [row] * len(values), color="tab:gray", **style)
            panel.errorbar(_mean(values), row, xerr=half_width(values), color="tab:blue", marker="D", capsize=4)
        if experiment.reference in arms:
            panel.axvline(_mean(accuracies(arms[experiment.reference])), color="tab:gray", linestyle=":")
        panel.set_yticks(range(len(arms)), [_label(name, accuracies(records)) for name, records in arms.items()])
        panel.invert_yaxis()
        panel.set_xlabel("test accuracy, last epoch (%)")


def sizes(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Test accuracy by the size of the test images; a vertical line where objects look as large as in training."""
    with _figure(file, (7, 4)) as (_, axes):
        panel: Axes = axes[0, 0]
        for (name, records), color in zip(arms.items(), ("tab:blue", "tab:orange", "tab:green"), strict=False):
            means = [mean(measured(records, f"accuracy_at_{size}")) for size in EVAL_SIZES]
            panel.plot(EVAL_SIZES, _gaps(means), color=color, marker="o", label=_label(name, means))
            panel.axvline(32 / apparent_size_ratio(records), color=color, linestyle=":")
        panel.set(xlabel="test images resized to (px)", ylabel="test accuracy (%)")
        panel.legend()


_BATCH = "accuracy_{}_batch_statistics"
_LINES = {
    _BATCH.format("all"): {"color": "tab:gray", "linestyle": "--", "label": "batch statistics in all norms"},
    _BATCH.format("resizer"): {"color": "tab:orange", "label": "batch statistics in the resizer's norms"},
    "accuracy": {"color": "tab:blue", "marker": "o", "label": "running statistics, as evaluated"},
}


def stability(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Test accuracy by epoch with the running statistics and with the batch's, one panel per arm."""
    shape = (2, (len(arms) + 1) // 2)
    with _figure(file, (11, 5.5), shape, sharex=True, sharey=True) as (figure, panels):
        for panel, (name, (record, *_)) in zip(panels.flat, arms.items(), strict=False):
            for key, style in _LINES.items():
                panel.plot(*_by_epoch(record, key), **style)
            values = [epoch[key] for epoch in record["curve"] for key in _LINES]
            panel.set_title(_label(name, values), fontsize="medium")
        for panel in panels.flat[len(arms) :]:
            panel.axis("off")
        figure.supxlabel("epoch")
        figure.supylabel("test accuracy (%)")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
