"""Tables of the records of one version of an experiment."""

from __future__ import annotations

import statistics

from benchmarks._records import Record
from benchmarks._tables import Table
from resizenet.transforms import ResizePolicy

from ._cifar import EVAL_SIZES, WAYS_TO_ADAPT
from ._experiment import Experiment
from ._record import FastRecipe, training_flops
from ._sizes import SIZES
from ._statistics import Values, difference_text, mean, mean_text, value_text

Arms = dict[str, list[Record]]


def accuracies(records: list[Record]) -> Values:
    """Return the accuracy of the last epoch by seed; None where it diverged."""
    return [record["accuracy"] for record in records]


def measured(records: list[Record], key: str) -> Values:
    """Return what was measured after the last epoch by seed; None where it diverged."""
    return [record["finish"][key] for record in records]


def throughput(records: list[Record]) -> float:
    """Return the images per second of the fastest epoch; whatever else a machine does only slows it down."""
    return max(_images_per_epoch(record) / epoch["seconds"] for record in records for epoch in record["curve"])


def cpu_seconds(records: list[Record]) -> float:
    """Return the mean CPU seconds of a training, all threads together."""
    return statistics.mean(_spent(records, "cpu_seconds"))


def _spent(records: list[Record], key: str) -> list[float]:
    return [sum(epoch[key] for epoch in record["curve"]) for record in records]


def _images_per_epoch(record: Record) -> float:
    return record["images_per_second"] * statistics.mean(epoch["seconds"] for epoch in record["curve"])


def provenance(arms: Arms) -> str:
    """Return the commands, devices, versions and dates of the records in a sentence."""
    records = [record for arm in arms.values() for record in arm]
    commands = sorted({f"`{record['command']} --data PATH`" for record in records})
    devices = sorted({f"{record['device']}, {record['precision']}" for record in records})
    torch = sorted({record["versions"]["torch"] for record in records})
    dates = sorted({record["date"] for record in records})
    period = " to ".join(dict.fromkeys([dates[0], dates[-1]]))
    return f"{', '.join(commands)}; {' and '.join(devices)}; torch {', '.join(torch)}; {period}.\n"


def notes(experiment: Experiment, arms: Arms) -> list[str]:
    """Return what a reader of the tables has to know: runs that diverged, and arms that are missing."""
    runs = [(arm, record) for arm, records in arms.items() for record in records]
    diverged = [f"{arm}, seed {record['seed']}" for arm, record in runs if record["curve"][-1]["loss"] is None]
    missing = [arm for arm in experiment.arms if arm not in arms]
    found = [f"Diverged: {'; '.join(diverged)}.\n"] if diverged else []
    found += [f"Left out of this version: {experiment.left_out}.\n"] if experiment.left_out else []
    return found + ([f"Not run yet: {'; '.join(missing)}.\n"] if missing else [])


def accuracy_table(experiment: Experiment, arms: Arms, *, speed: bool = True) -> Table:
    """Cost, accuracy with its interval and every seed, and the difference to the reference on the seeds of both."""
    reference = arms.get(experiment.reference or "", [])

    def row(name: str, records: list[Record]) -> dict[str, str]:
        first = records[0]
        gain = "" if records is reference or not reference else _gain(records, reference)
        return {
            "network": name,
            "parameters": f"{first['params']:,}",
            "MACs": f"{first['macs']:,}",
            "epochs": str(first["recipe"]["epochs"]),
            "accuracy, last epoch (%)": mean_text(accuracies(records)),
            f"against {experiment.reference}": gain,
            "images / s, fastest epoch": f"{throughput(records):,.0f}" if speed else "",
        }

    return Table.of([row(name, records) for name, records in arms.items()])


def record_table(experiment: Experiment, arms: Arms) -> Table:
    """Accuracy with and without mirrored copies, the difference to the reference, and what the training took."""
    reference = arms.get(experiment.reference or "", [])

    def row(name: str, records: list[Record]) -> dict[str, str]:
        gain = "" if records is reference or not reference else _gain(records, reference)
        seconds = _spent(records, "seconds")
        flops = training_flops(FastRecipe(**records[0]["recipe"]), _images_per_epoch(records[0]))
        return {
            "recipe": name,
            "accuracy, last epoch (%)": mean_text(accuracies(records)),
            "logits of mirrored copies added (%)": mean_text(measured(records, "accuracy_with_flips")),
            f"against {experiment.reference}": gain,
            "training (s)": f"{statistics.mean(seconds):.0f} (fastest {min(seconds):.0f})",
            "CPU seconds": f"{cpu_seconds(records):.0f} (least {min(_spent(records, 'cpu_seconds')):.0f})",
            "PFLOP": f"{flops / 1e15:.2f}",
        }

    return Table.of([row(name, records) for name, records in arms.items()])


def _gain(records: list[Record], reference: list[Record]) -> str:
    seeds = {record["seed"] for record in records} & {record["seed"] for record in reference}
    common = ([record for record in arm if record["seed"] in seeds] for arm in (records, reference))
    return difference_text(*map(accuracies, common))


def sizes_table(experiment: Experiment, arms: Arms) -> Table:
    """How large objects look at 32 px against training, where they would look alike, and the accuracy at every size."""

    def row(name: str, records: list[Record]) -> dict[str, str]:
        ratio = apparent_size_ratio(records)
        by_size = {size: mean(measured(records, f"accuracy_at_{size}")) for size in EVAL_SIZES}
        best = "diverged" if None in by_size.values() else str(max(by_size, key=by_size.__getitem__))
        return {
            "policy": name,
            "apparent size, 32 px against training": f"{ratio:.3f}",
            "predicted best (px)": f"{32 / ratio:.0f}",
            "best (px)": best,
            **{f"{size} px (%)": value_text(value) for size, value in by_size.items()},
        }

    return Table.of([row(name, records) for name, records in arms.items()])


def several_sizes_table(experiment: Experiment, arms: Arms) -> Table:
    """The accuracy of every network at every size, and what its training took."""

    def row(name: str, records: list[Record]) -> dict[str, str]:
        return {
            "network": name,
            "epochs": str(records[0]["recipe"]["epochs"]),
            **{f"{size} px (%)": mean_text(measured(records, f"accuracy_at_{size}")) for size in SIZES},
            "CPU seconds": f"{cpu_seconds(records):.0f}",
        }

    return Table.of([row(name, records) for name, records in arms.items()])


def apparent_size_ratio(records: list[Record]) -> float:
    """Return how large objects look at 32 px, against training by the policy of an arm."""
    return ResizePolicy.from_dict(records[0]["recipe"]["policy"]).apparent_size_ratio()


def fold_table(experiment: Experiment, arms: Arms) -> Table:
    """The accuracy after each way to adapt, and after each mode of ``adapt_to_resolution``."""
    header = ["32 px images", "accuracy (%)", 'and adapt_to_resolution, "bn"', 'and adapt_to_resolution, "bn+head"']
    (records,) = arms.values()
    rows = [["upscaled to 64 px, as in training", mean_text(measured(records, "upscaled")), "", ""]]
    for name, way in WAYS_TO_ADAPT.items():
        option, value = list(way.items())[-1]  # the last option says the most
        label = "nothing changed" if name == "keep" else f'adapt(model, 32, {option}="{value}")'
        texts = [mean_text(measured(records, name + mode)) for mode in ("", ", bn", ", bn+head")]
        rows.append([f"native: {label}", *texts])
    return Table(header, rows)


def stability_table(experiment: Experiment, arms: Arms) -> Table:
    """The accuracy, the largest gaps between the batch's and the running statistics, and the resizer's contribution."""

    def row(name: str, records: list[Record]) -> dict[str, str]:
        return {
            "front": name,
            "parameters": f"{records[0]['params']:,}",
            "accuracy, last epoch (%)": _mean_and_values(accuracies(records)),
            "largest gap, resizer's norms": value_text(_largest_gap(records, "resizer")),
            "largest gap, all norms": value_text(_largest_gap(records, "all")),
            "residual / plain": _mean_and_values([record["curve"][-1]["residual_over_plain"] for record in records]),
        }

    return Table.of([row(name, records) for name, records in arms.items()])


def _mean_and_values(values: Values) -> str:
    every = f" ({', '.join(map(value_text, values))})" if len(values) > 1 else ""
    return f"{value_text(mean(values))}{every}"


def _largest_gap(records: list[Record], part: str) -> float | None:
    """Return the most points of accuracy that the running statistics of ``part`` cost, over all epochs and seeds."""
    key = f"accuracy_{part}_batch_statistics"
    pairs = [(epoch[key], epoch["accuracy"]) for record in records for epoch in record["curve"]]
    return None if any(None in pair for pair in pairs) else max(batch - running for batch, running in pairs)
