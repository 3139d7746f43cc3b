"""Tables and plots from the committed results, for the terminal and for the docs."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks._markdown import markdown

RESULTS = Path(__file__).parents[1] / "results" / "accuracy"
SCHEMA = 1

Record = dict[str, Any]


def load(experiment: str, results: Path = RESULTS) -> dict[str, list[Record]]:
    """The records of an experiment by arm, in the order of the seeds; one clear line for a file of another schema."""
    arms: dict[str, list[Record]] = defaultdict(list)
    for file in sorted((results / experiment).glob("*.json")):
        record = json.loads(file.read_text())
        if record.get("schema") != SCHEMA:
            raise SystemExit(f"{file}: schema {record.get('schema')!r} where {SCHEMA} is expected; run it again")
        arms[record["arm"]].append(record)
    if not arms:
        raise SystemExit(f"{results / experiment}: no results yet")
    return dict(arms)


def spread(values: list[float]) -> str:
    """The mean, and every value when there are several."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def provenance(arms: dict[str, list[Record]]) -> str:
    """Command, device and dates of the records, in a sentence."""
    records = [record for arm in arms.values() for record in arm]
    command, device = records[0]["command"], ", ".join(sorted({record["device"] for record in records}))
    dates = sorted({record["date"] for record in records})
    versions = records[0]["versions"]
    return f"`{command} --data PATH`; {device}; torch {versions['torch']}; {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}.\n"


def accuracy_table(arms: dict[str, list[Record]]) -> str:
    """Per arm: epochs, accuracy of the last epoch, and what it costs."""
    header = ("network", "parameters", "MACs", "epochs", "accuracy, last epoch (%)", "images / s in training")

    def row(name: str, records: list[Record]) -> list[str]:
        first = records[0]
        speed = statistics.mean(record["images_per_second"] for record in records)
        accuracy = spread([record["accuracy"] for record in records])
        return [name, f"{first['params']:,}", f"{first['macs']:,}", str(first["recipe"]["epochs"]), accuracy, f"{speed:,.0f}"]

    return markdown(header, (row(name, records) for name, records in arms.items()))


def curve_plot(arms: dict[str, list[Record]], file: Path) -> None:
    """Test accuracy by epoch, one line per arm and seed."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, records in arms.items():
        for record in records:
            axes.plot(
                [epoch["epoch"] for epoch in record["curve"]],
                [epoch["accuracy"] for epoch in record["curve"]],
                marker="o",
                label=f"{name}, seed {record['seed']}",
            )
    axes.set(xlabel="epoch", ylabel="test accuracy (%)")
    axes.legend()
    figure.savefig(file)
    plt.close(figure)


def gap(record: Record, mode: str) -> list[float]:
    """By epoch: how many points of test accuracy the running statistics cost against the batch's own, in the norms of ``mode``."""
    return [epoch[f"accuracy_{mode}_batch_statistics"] - epoch["accuracy"] for epoch in record["curve"]]


def stability_table(arms: dict[str, list[Record]]) -> str:
    """Per arm: accuracy of the last epoch, the largest gap of the resizer's norms and of all norms, the resizer's share of its output."""

    def row(name: str, records: list[Record]) -> list[str]:
        largest = {mode: max(max(gap(record, mode)) for record in records) for mode in ("resizer", "all")}
        return [
            name,
            f"{records[0]['params']:,}",
            spread([record["accuracy"] for record in records]),
            f"{largest['resizer']:.1f}",
            f"{largest['all']:.1f}",
            spread([record["curve"][-1]["residual_over_plain"] for record in records]),
        ]

    header = ("front", "parameters", "accuracy, last epoch (%)", "largest gap, resizer's norms", "largest gap, all norms", "residual / plain")
    return markdown(header, (row(name, records) for name, records in arms.items()))


def stability_plot(arms: dict[str, list[Record]], file: Path) -> None:
    """Test accuracy by epoch with the running statistics and with the batch's, one panel per arm."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(2, (len(arms) + 1) // 2, figsize=(11, 5.5), sharex=True, sharey=True, layout="constrained", squeeze=False)
    for panel, (name, records) in zip(panels.flat, arms.items(), strict=False):
        curve = records[0]["curve"]
        epochs = [epoch["epoch"] for epoch in curve]
        panel.plot(epochs, [epoch["accuracy_all_batch_statistics"] for epoch in curve], color="tab:gray", linestyle="--", label="batch statistics in all norms")
        panel.plot(epochs, [epoch["accuracy_resizer_batch_statistics"] for epoch in curve], color="tab:orange", label="batch statistics in the resizer's norms")
        panel.plot(epochs, [epoch["accuracy"] for epoch in curve], color="tab:blue", marker="o", label="running statistics, as evaluated")
        panel.set_title(name, fontsize="medium")
    for panel in panels.flat[len(arms) :]:
        panel.axis("off")
    figure.supxlabel("epoch")
    figure.supylabel("test accuracy (%)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.savefig(file)
    plt.close(figure)


PAGES = {"resizer_stability": (stability_table, stability_plot), "resnet20_recipe": (accuracy_table, curve_plot)}


def write_docs(folder: Path, results: Path = RESULTS) -> None:
    """Every page fragment and picture that the docs include."""
    folder.mkdir(parents=True, exist_ok=True)
    for experiment, (table, plot) in PAGES.items():
        if not list((results / experiment).glob("*.json")):
            (folder / f"{experiment}.md").write_text(f"Not run yet: `python -m benchmarks.accuracy run {experiment} --data PATH`.\n")
            continue
        arms = load(experiment, results)
        (folder / f"{experiment}.md").write_text(table(arms) + "\n" + provenance(arms))
        plot(arms, folder / f"{experiment}.svg")
