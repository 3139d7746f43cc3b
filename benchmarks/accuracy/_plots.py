"""Pictures of the committed results, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._cifar import EVAL_SIZES
from ._experiment import Experiment
from ._records import Record
from ._statistics import half_width, mean
from ._tables import Arms, accuracies, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@contextmanager
def _figure(
    file: Path, *, size: tuple[float, float], panels: tuple[int, int] = (1, 1), **options: object
) -> Iterator[Any]:
    """(figure, axes as an array of ``panels``), saved at the end."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(*panels, figsize=size, layout="constrained", squeeze=False, **options)
    yield figure, axes
    figure.savefig(file)
    plt.close(figure)


def _by_epoch(record: Record, key: str) -> tuple[list[float], list[float]]:
    return [epoch["epoch"] for epoch in record["curve"]], _drawn([epoch[key] for epoch in record["curve"]])


def _drawn(values: Sequence[float | None]) -> list[float]:
    """As matplotlib takes them: what diverged is a gap."""
    return [math.nan if value is None else value for value in values]


def _mean(values: Sequence[float | None]) -> float:
    return _drawn([mean(values)])[0]


def _label(name: str, values: Sequence[float | None]) -> str:
    return f"{name} (diverged)" if None in values else name


def _colors(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab20"](index % 20) for index in range(count)]


def curves(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Test accuracy by epoch, one colour per arm and one line per seed."""
    with _figure(file, size=(8, 4.5)) as (figure, axes):
        panel: Axes = axes[0, 0]
        for (name, records), color in zip(arms.items(), _colors(len(arms)), strict=True):
            label = _label(name, [epoch["accuracy"] for record in records for epoch in record["curve"]])
            for record in records:
                panel.plot(
                    *_by_epoch(record, "accuracy"),
                    color=color,
                    marker="o",
                    markersize=3,
                    label=None if record is not records[0] else label,
                )
        panel.set(xlabel="epoch", ylabel="test accuracy (%)")
        panel.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside right upper", fontsize="small")


def against(cost: Callable[[list[Record]], float], axis: str) -> Callable[[Experiment, Arms, Path], None]:
    """A plot of accuracy against a cost of an arm, with every seed and the 95 % interval of the mean."""

    def draw(experiment: Experiment, arms: Arms, file: Path) -> None:
        from matplotlib import ticker

        with _figure(file, size=(8, 4.5)) as (figure, axes):
            panel: Axes = axes[0, 0]
            for (name, records), color in zip(arms.items(), _colors(len(arms)), strict=True):
                values, x = accuracies(records), cost(records)
                label = _label(name, values)
                panel.errorbar(
                    x,
                    _mean(values),
                    yerr=half_width(values),
                    color=color,
                    marker="o",
                    capsize=4,
                    label=label,
                    linestyle="none",
                )
                panel.plot([x] * len(values), _drawn(values), color=color, marker="_", linestyle="none")
            panel.set(xscale="log", xlabel=axis, ylabel="test accuracy, last epoch (%)")
            panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            panel.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
            panel.xaxis.set_minor_formatter(ticker.NullFormatter())
            figure.legend(loc="outside right upper", fontsize="small")

    return draw


def headline(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Mean accuracy of every arm, the cheapest first; names and values stay text in the file."""
    import matplotlib as mpl

    rows = sorted(arms.items(), key=lambda arm: arm[1][0]["macs"])
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "headline"}),
        _figure(file, size=(7, 0.8 + 0.32 * len(rows))) as (_, axes),
    ):
        panel: Axes = axes[0, 0]
        for row, (name, records) in enumerate(rows):
            value = _mean(accuracies(records))
            panel.plot(
                value, row, color="tab:orange" if name.startswith(("small", "folded")) else "tab:blue", marker="o"
            )
            if math.isfinite(value):
                panel.annotate(f"{value:.1f} %", (value, row), (8, 0), textcoords="offset points", va="center")
        panel.set_yticks(
            range(len(rows)),
            [f"{_label(name, accuracies(records))}, {records[0]['macs'] / 1e6:.1f} M MACs" for name, records in rows],
        )
        panel.set(xlabel="test accuracy (%)", ylim=(len(rows) - 0.5, -0.5))
        panel.margins(x=0.18)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="x", alpha=0.3)


def arms_plot(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Every seed of every arm, the mean and its 95 % interval; a line at the reference's mean."""
    with _figure(file, size=(8, 1 + 0.35 * len(arms))) as (_, axes):
        panel: Axes = axes[0, 0]
        for row, records in enumerate(arms.values()):
            values = accuracies(records)
            panel.plot(
                _drawn(values), [row] * len(values), color="tab:gray", marker="o", markersize=4, linestyle="none"
            )
            panel.errorbar(_mean(values), row, xerr=half_width(values), color="tab:blue", marker="D", capsize=4)
        if experiment.reference in arms:
            panel.axvline(_mean(accuracies(arms[experiment.reference])), color="tab:gray", linestyle=":")
        panel.set_yticks(range(len(arms)), [_label(name, accuracies(records)) for name, records in arms.items()])
        panel.invert_yaxis()
        panel.set_xlabel("test accuracy, last epoch (%)")


def sizes(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Test accuracy by the size of the test images, one line per policy; a vertical line where objects look as large as in training."""
    from resizenet.transforms import ResizePolicy

    with _figure(file, size=(7, 4)) as (_, axes):
        panel: Axes = axes[0, 0]
        for (name, records), color in zip(arms.items(), ("tab:blue", "tab:orange", "tab:green"), strict=False):
            means = [mean(measured(records, f"accuracy_at_{size}")) for size in EVAL_SIZES]
            panel.plot(EVAL_SIZES, _drawn(means), color=color, marker="o", label=_label(name, means))
            panel.axvline(
                32 / ResizePolicy.from_dict(records[0]["recipe"]["policy"]).apparent_size_ratio(),
                color=color,
                linestyle=":",
            )
        panel.set(xlabel="test images resized to (px)", ylabel="test accuracy (%)")
        panel.legend()


def stability(experiment: Experiment, arms: Arms, file: Path) -> None:
    """Test accuracy by epoch with the running statistics and with the batch's, one panel per arm."""
    lines = {
        "accuracy_all_batch_statistics": {
            "color": "tab:gray",
            "linestyle": "--",
            "label": "batch statistics in all norms",
        },
        "accuracy_resizer_batch_statistics": {
            "color": "tab:orange",
            "label": "batch statistics in the resizer's norms",
        },
        "accuracy": {"color": "tab:blue", "marker": "o", "label": "running statistics, as evaluated"},
    }
    with _figure(file, size=(11, 5.5), panels=(2, (len(arms) + 1) // 2), sharex=True, sharey=True) as (figure, panels):
        for panel, (name, records) in zip(panels.flat, arms.items(), strict=False):
            for key, style in lines.items():
                panel.plot(*_by_epoch(records[0], key), **style)
            panel.set_title(
                _label(name, [epoch[key] for epoch in records[0]["curve"] for key in lines]), fontsize="medium"
            )
        for panel in panels.flat[len(arms) :]:
            panel.axis("off")
        figure.supxlabel("epoch")
        figure.supylabel("test accuracy (%)")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
