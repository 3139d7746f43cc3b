"""What the docs include: the tables, pictures and provenance of every version, or that it was not run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks._tables import Table

from . import _plots, _tables
from ._experiment import Experiment
from ._experiments import command_of, find, folder_of, versions
from ._results import RESULTS, load
from ._tables import Arms


@dataclass(frozen=True)
class Figure:
    """A picture of a page; without ``alt`` the page itself includes it, with words of its own."""

    draw: Callable[[Experiment, Arms, Path], None]
    suffix: str = ""  # of the file's name, after that of the experiment
    alt: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Page:
    """How an experiment is shown."""

    tables: tuple[Callable[[Experiment, Arms], Table], ...] = (_tables.accuracy_table,)
    figures: tuple[Figure, ...] = ()


_ARMS = Figure(
    _plots.arms_plot,
    alt="Test accuracy of every arm: seeds, mean and 95 % interval.",
    caption="Diamonds are means with their 95 % interval, dots the seeds; "
    "the dotted line is the mean that the others are compared with.",
)
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
_CPU_SECONDS = Figure(
    _plots.against(_tables.cpu_seconds, "CPU seconds of training"),
    "-seconds",
    alt="Test accuracy against CPU seconds of training, on a logarithmic axis.",
    caption="Accuracy against CPU seconds of training, all threads together: the mean with its 95 % interval, and a "
    "dash for every seed.",
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
    "stem_weights": Page(figures=(_ARMS,)),
    "transfer": Page(tables=(partial(_tables.accuracy_table, speed=False),), figures=(_MACS,)),
    "adapt_families": Page(figures=(_MACS,)),
    "adapt_features": Page(tables=(partial(_tables.accuracy_table, speed=False),), figures=(_MACS,)),
    "adapt_pretrained": Page(figures=(_MACS,)),
    "imagenette": Page(figures=(_ARMS, _CURVES)),
    "imagewoof": Page(figures=(_ARMS, _CURVES)),
    "resizer_stability": Page(tables=(_tables.stability_table,), figures=(Figure(_plots.stability),)),
    "several_sizes": Page(tables=(_tables.several_sizes_table,), figures=(_CURVES,)),
    "record": Page(tables=(_tables.record_table,), figures=(_CPU_SECONDS, _CURVES)),
    "resnet20_recipe": Page(figures=(Figure(_plots.curves),)),
}
HEADLINE = "stem_by_resolution", "small"


def arms_of(name: str, version: str, results: Path = RESULTS) -> Arms:
    """Return the records of a version by arm, in the order in which the experiment lists them."""
    arms, listed = load(folder_of(name, version), results), find(name, version).arms
    return {arm: arms[arm] for arm in [*listed, *sorted(set(arms) - set(listed))] if arm in arms}


def tables_of(name: str, version: str, results: Path = RESULTS) -> str:
    """Return the tables of a version, what is missing in them, and where the numbers come from."""
    experiment, arms = find(name, version), arms_of(name, version, results)
    tables = [table(experiment, arms).markdown() for table in PAGES[name].tables]
    return "\n".join([*tables, *_tables.notes(experiment, arms), _tables.provenance(arms)])


def draw_headline(file: Path, results: Path = RESULTS) -> None:
    """Draw the picture of the README."""
    _plots.headline(find(*HEADLINE), arms_of(*HEADLINE, results), file)


def write_docs(folder: Path, results: Path = RESULTS) -> None:
    """Write every fragment of a page and every picture that the docs include."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version, experiment in versions():
        stem = folder_of(name, version)
        fragment = folder / f"{stem}.md"
        if not list((results / stem).glob("*.json")):
            fragment.write_text(f"Not run yet: `{command_of(name, version)}`.\n")
            continue
        parts = [tables_of(name, version, results)]
        for figure in PAGES[name].figures:
            picture = folder / f"{stem}{figure.suffix}.svg"
            figure.draw(experiment, arms_of(name, version, results), picture)
            parts += [f"![{figure.alt}](../pictures/{picture.name})\n\n*{figure.caption}*\n"] if figure.alt else []
        fragment.write_text("\n".join(parts))
