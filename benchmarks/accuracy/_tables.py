"""Tables from the committed results, for the terminal and for the docs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from benchmarks._markdown import markdown

from ._cifar import EVAL_SIZES
from ._experiment import Experiment
from ._records import Record
from ._statistics import difference_text, mean, mean_text, value_text

Arms = dict[str, list[Record]]


def accuracies(records: list[Record]) -> list[float | None]:
    """Of the last epoch, by seed; None where it diverged."""
    return [record["accuracy"] for record in records]


def measured(records: list[Record], key: str) -> list[float | None]:
    """What was measured after the last epoch, by seed; None where it diverged."""
    return [record["finish"][key] for record in records]


def provenance(arms: Arms) -> str:
    """Commands, devices, versions and dates of the records, in a sentence; each record has its commit."""
    records = [record for arm in arms.values() for record in arm]

    def all_of(values: Iterable[str]) -> str:
        return ", ".join(sorted(set(values)))

    commands = all_of(f"`{record['command']} --data PATH`" for record in records)
    devices = " and ".join(sorted({f"{record['device']}, {record.get('precision', 'bf16')}" for record in records}))
    torch = all_of(record["versions"]["torch"] for record in records)
    dates = sorted({record["date"] for record in records})
    return f"{commands}; {devices}; torch {torch}; {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}.\n"


def diverged(arms: Arms) -> list[str]:
    """A note that names the runs whose loss was no number in the end, whatever accuracy the network has by chance."""
    names = [
        f"{arm}, seed {record['seed']}"
        for arm, records in arms.items()
        for record in records
        if record["curve"][-1]["loss"] is None
    ]
    return [f"Diverged: {'; '.join(names)}.\n"] if names else []


def unlike(experiment: Experiment, arms: Arms) -> list[str]:
    """A note that names the arms whose epochs or precision differ from the reference's (without one the first arm's), or among their seeds."""
    terms = {arm: {_terms(record) for record in records} for arm, records in arms.items()}
    reference = experiment.reference if experiment.reference in arms else next(iter(arms))
    names = [arm for arm in arms if terms[arm] != terms[reference] or len(terms[arm]) > 1]
    texts = [f"{arm} ({' and '.join(sorted(terms[arm]))})" for arm in dict.fromkeys([reference, *names])]
    return [f"Not trained alike: {'; '.join(texts)}.\n"] if names else []


def _terms(record: Record) -> str:
    done, epochs = len(record["curve"]), record["recipe"]["epochs"]
    return f"{epochs if done == epochs else f'{done} of {epochs}'} epochs, {record.get('precision', 'bf16')}"


def _same_seeds(records: list[Record], reference: list[Record]) -> tuple[list[Record], list[Record]]:
    """The runs of the seeds that both have."""
    seeds = {record["seed"] for record in records} & {record["seed"] for record in reference}
    return [record for record in records if record["seed"] in seeds], [
        record for record in reference if record["seed"] in seeds
    ]


def throughput(records: list[Record]) -> float:
    """Images per second in the fastest epoch of any seed: whatever else a machine does only slows it down."""
    return max(_images_per_epoch(record) / epoch["seconds"] for record in records for epoch in record["curve"])


def _images_per_epoch(record: Record) -> float:
    return record["images_per_second"] * statistics.mean(epoch["seconds"] for epoch in record["curve"])


def accuracy_table(experiment: Experiment, arms: Arms, *, speed: bool = True) -> str:
    """Per arm: what it costs, accuracy of the last epoch with its interval and every seed, and the difference to the reference on the seeds of both."""
    reference = arms.get(experiment.reference or "", [])

    def cells(name: str, records: list[Record]) -> dict[str, str]:
        first, values = records[0], accuracies(records)
        row = {
            "network": name,
            "parameters": f"{first['params']:,}",
            "MACs": f"{first['macs']:,}",
            "epochs": str(first["recipe"]["epochs"]),
            "accuracy, last epoch (%)": mean_text(values),
        }
        if reference:
            row[f"against {experiment.reference}"] = (
                "" if records is reference else difference_text(*map(accuracies, _same_seeds(records, reference)))
            )
        if speed:
            row["images / s, fastest epoch"] = f"{throughput(records):,.0f}"
        return row

    rows = [cells(name, records) for name, records in arms.items()]
    return markdown(rows[0], (row.values() for row in rows))


def sizes_table(experiment: Experiment, arms: Arms) -> str:
    """Per policy: how large objects look at 32 px against training, where they would look alike, and the mean accuracy at every size."""
    from resizenet.transforms import ResizePolicy

    header = [
        "policy",
        "apparent size, 32 px against training",
        "predicted best (px)",
        "best (px)",
        *(f"{size} px (%)" for size in EVAL_SIZES),
    ]

    def row(name: str, records: list[Record]) -> list[str]:
        ratio = ResizePolicy.from_dict(records[0]["recipe"]["policy"]).apparent_size_ratio()
        by_size = {size: mean(measured(records, f"accuracy_at_{size}")) for size in EVAL_SIZES}
        best = "diverged" if None in by_size.values() else str(max(by_size, key=by_size.__getitem__))
        return [name, f"{ratio:.3f}", f"{32 / ratio:.0f}", best, *map(value_text, by_size.values())]

    return markdown(header, (row(name, records) for name, records in arms.items()))


_WAYS = {
    "keep": "nothing changed",
    "fold": 'adapt(model, 32, stem="fold")',
    "pinv": 'adapt(model, 32, stem_weights="pinv")',
    "area": 'adapt(model, 32, stem_weights="area")',
    "center": 'adapt(model, 32, stem_weights="center")',
}


def fold_table(experiment: Experiment, arms: Arms) -> str:
    """Per way to feed native images: accuracy as adapted, and after each mode of ``adapt_to_resolution``."""
    header = ("32 px images", "accuracy (%)", 'and adapt_to_resolution, "bn"', 'and adapt_to_resolution, "bn+head"')
    (records,) = arms.values()
    rows = [["upscaled to 64 px, as in training", mean_text(measured(records, "upscaled")), "", ""]]
    for key, name in _WAYS.items():
        rows.append(
            [f"native: {name}", *(mean_text(measured(records, key + mode)) for mode in ("", ", bn", ", bn+head"))]
        )
    return markdown(header, rows)


def _largest_gap(records: list[Record], mode: str) -> float | None:
    """Of all epochs and seeds: how many points of test accuracy the running statistics cost against the batch's own, in the norms of ``mode``."""
    pairs = [
        (epoch[f"accuracy_{mode}_batch_statistics"], epoch["accuracy"])
        for record in records
        for epoch in record["curve"]
    ]
    return None if any(None in pair for pair in pairs) else max(batch - running for batch, running in pairs)


def stability_table(experiment: Experiment, arms: Arms) -> str:
    """Per arm: accuracy of the last epoch, the largest gap of the resizer's norms and of all norms, the resizer's share of its output."""

    def spread(values: list[float | None]) -> str:
        every = f" ({', '.join(map(value_text, values))})" if len(values) > 1 else ""
        return f"{value_text(mean(values))}{every}"

    def row(name: str, records: list[Record]) -> list[str]:
        return [
            name,
            f"{records[0]['params']:,}",
            spread(accuracies(records)),
            *(value_text(_largest_gap(records, mode)) for mode in ("resizer", "all")),
            spread([record["curve"][-1]["residual_over_plain"] for record in records]),
        ]

    header = (
        "front",
        "parameters",
        "accuracy, last epoch (%)",
        "largest gap, resizer's norms",
        "largest gap, all norms",
        "residual / plain",
    )
    return markdown(header, (row(name, records) for name, records in arms.items()))
