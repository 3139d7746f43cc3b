"""What the docs include: for every experiment and version its tables, pictures and provenance, or that it was not run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import _plots, _tables
from ._experiment import Experiment
from ._experiments import EXPERIMENTS
from ._records import RESULTS, load
from ._tables import Arms

Table = Callable[[Experiment, Arms], str]
Plot = Callable[[Experiment, Arms, Path], None]


@dataclass(frozen=True)
class Figure:
    """A picture; without ``alt`` the page shows it by itself, in its own words.

    Attributes:
        draw: writes it to a file.
        suffix: of the file's name, behind that of the experiment.
        alt: what is to be seen.
        caption: below it.
    """

    draw: Plot
    suffix: str = ""
    alt: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Page:
    """How an experiment is shown."""

    tables: tuple[Table, ...] = (_tables.accuracy_table,)
    figures: tuple[Figure, ...] = ()


_INTERVAL = "Diamonds are means with their 95 % interval, dots the seeds; the dotted line is the mean that the others are compared with."
_ARMS = Figure(_plots.arms_plot, alt="Test accuracy of every arm: seeds, mean and 95 % interval.", caption=_INTERVAL)
_CURVES = Figure(
    _plots.curves,
    "-curves",
    alt="Test accuracy by epoch, one line per arm and seed.",
    caption="Test accuracy by epoch, one line per seed.",
)
_MACS = Figure(
    _plots.against(lambda records: records[0]["macs"], "multiply-accumulates per image"),
    "-macs",
    alt="Test accuracy against multiply-accumulates, on a logarithmic axis.",
    caption="Accuracy against multiply-accumulates: the mean with its 95 % interval, and a dash for every seed.",
)
_SPEED = Figure(
    _plots.against(_tables.throughput, "images per second in training, fastest epoch"),
    "-speed",
    alt="Test accuracy against images per second in training, on a logarithmic axis.",
    caption="Accuracy against images per second in training, on the device named below.",
)
_SIZES = Figure(
    _plots.sizes,
    "-sizes",
    alt="Test accuracy by the size of the test images, one line per training policy.",
    caption="Mean test accuracy by the size of the test images; dotted where objects look as large as in training.",
)

PAGES = {
    "stem_by_resolution": Page(figures=(_MACS, _CURVES)),
    "resnet50_fix": Page(figures=(_ARMS, _CURVES)),
    "crop_policy": Page(tables=(_tables.accuracy_table, _tables.sizes_table), figures=(_SIZES,)),
    "shape": Page(figures=(_MACS, _SPEED)),
    "learned_resizer": Page(figures=(_ARMS, _CURVES)),
    "fold_transfer": Page(tables=(_tables.fold_table,)),
    "transfer": Page(tables=(partial(_tables.accuracy_table, speed=False),), figures=(_MACS,)),
    "imagenette": Page(figures=(_ARMS, _CURVES)),
    "imagewoof": Page(figures=(_ARMS, _CURVES)),
    "resizer_stability": Page(tables=(_tables.stability_table,), figures=(Figure(_plots.stability),)),
    "resnet20_recipe": Page(figures=(Figure(_plots.curves),)),
}


def versions() -> dict[str, tuple[str, Experiment]]:
    """By the name of the results' folder: the experiment's name, and its full or small version."""
    found = {}
    for name, experiment in EXPERIMENTS.items():
        found[name] = (name, experiment)
        if experiment.small is not None:
            found[f"{name}-small"] = (name, experiment.small)
    return found


def arms_of(folder: str, results: Path = RESULTS) -> Arms:
    """The records of a version by arm, in the order in which the experiment lists them."""
    _, experiment = versions()[folder]
    arms = load(folder, results)
    return {arm: arms[arm] for arm in [*experiment.arms, *sorted(set(arms) - set(experiment.arms))] if arm in arms}


def tables_of(folder: str, results: Path = RESULTS) -> str:
    """The tables of a version, what is missing in them, and where the numbers come from."""
    name, experiment = versions()[folder]
    arms = arms_of(folder, results)
    tables = [table(experiment, arms) for table in PAGES[name].tables]
    return "\n".join(
        [
            *tables,
            *_tables.unlike(experiment, arms),
            *_tables.diverged(arms),
            *_gaps(experiment, arms),
            _tables.provenance(arms),
        ]
    )


def _gaps(experiment: Experiment, arms: Arms) -> list[str]:
    missing = [arm for arm in experiment.arms if arm not in arms]
    notes = [f"Left out of this version: {experiment.left_out}.\n"] if experiment.left_out else []
    return notes + ([f"Not run yet: {'; '.join(missing)}.\n"] if missing else [])


def command_of(folder: str) -> str:
    """What runs a version."""
    name, _ = versions()[folder]
    return f"python -m benchmarks.accuracy run {name} --data PATH {'--small --device cpu' if folder != name else '--device cuda'}"


HEADLINE = "stem_by_resolution-small"


def draw_headline(file: Path, results: Path = RESULTS) -> None:
    """The picture of the README."""
    _plots.headline(versions()[HEADLINE][1], arms_of(HEADLINE, results), file)


def write_docs(folder: Path, results: Path = RESULTS) -> None:
    """Every page fragment and picture that the docs include."""
    folder.mkdir(parents=True, exist_ok=True)
    for version, (name, experiment) in versions().items():
        fragment = folder / f"{version}.md"
        if not list((results / version).glob("*.json")):
            fragment.write_text(f"Not run yet: `{command_of(version)}`.\n")
            continue
        parts = [tables_of(version, results)]
        for figure in PAGES[name].figures:
            picture = folder / f"{version}{figure.suffix}.svg"
            figure.draw(experiment, arms_of(version, results), picture)
            if figure.alt:
                parts.append(
                    f"```{{figure}} ../generated/measured/{picture.name}\n:alt: {figure.alt}\n\n{figure.caption}\n```\n"
                )
        fragment.write_text("\n".join(parts))
