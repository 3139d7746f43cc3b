"""python -m benchmarks.accuracy run EXPERIMENT --data PATH: one JSON file per arm and seed; finished runs are skipped."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
import subprocess
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torchvision
from rich.progress import Progress

import resizenet as rn

from ._data import ImageData, load_cifar10
from ._experiments import EXPERIMENTS, Arm, Experiment
from ._tables import PAGES, RESULTS, SCHEMA, load, provenance
from ._train import Recipe, train


def _file_name(arm: str, seed: int) -> str:
    return f"{re.sub(r'[^a-z0-9.]+', '-', arm.lower())}-seed{seed}.json"


def _environment(device: torch.device) -> dict[str, object]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU {platform.machine()}, {torch.get_num_threads()} threads"
    versions = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__, "resizenet": rn.__version__}
    return {"device": name, "versions": versions, "commit": commit, "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}


def run_one(experiment: Experiment, name: str, arm: Arm, recipe: Recipe, seed: int, data: ImageData, progress: Progress) -> dict[str, object]:
    """Train one arm from one seed; the record that is written."""
    torch.manual_seed(seed)
    model = arm.make()
    geometry = rn.report(model, experiment.input_size)
    start = time.perf_counter()
    curve = []
    for record in train(model, data, recipe, seed, lambda model: experiment.watch(model, data), progress):
        curve.append(record)
        progress.console.print(f"{name} seed {seed} " + " ".join(f"{key} {value:.4g}" for key, value in record.items()))
    images = recipe.epochs * (len(data.x_train) // recipe.batch_size) * recipe.batch_size
    return {
        "schema": SCHEMA,
        "arm": name,
        "seed": seed,
        "recipe": asdict(recipe),
        "accuracy": curve[-1]["accuracy"],
        "curve": curve,
        "seconds": time.perf_counter() - start,
        "images_per_second": images / sum(record["seconds"] for record in curve),
        "macs": geometry.macs,
        "params": geometry.params,
        **_environment(data.x_train.device),
    }


def run(options: argparse.Namespace) -> None:
    """All arms of the first seed, then of the next."""
    experiment = EXPERIMENTS[options.experiment]
    device = torch.device(options.device)
    data = load_cifar10(options.data).to(device)
    folder = options.out / options.experiment
    folder.mkdir(parents=True, exist_ok=True)
    with Progress() as progress:
        for seed in range(options.seeds):
            for name, arm in experiment.arms.items():
                file = folder / _file_name(name, seed)
                if file.exists() or (options.arms and not re.search(options.arms, name)):
                    continue
                recipe = replace(Recipe(epochs=options.epochs or experiment.epochs), **arm.recipe)
                record = run_one(experiment, name, arm, recipe, seed, data, progress)
                command = f"python -m benchmarks.accuracy run {options.experiment} --device {options.device} --seeds {options.seeds} --epochs {recipe.epochs}"
                partial = file.with_suffix(".partial")
                partial.write_text(json.dumps({"experiment": options.experiment, "command": command, **record}, indent=1))
                partial.replace(file)


def table(options: argparse.Namespace) -> None:
    """Print what has been measured."""
    arms = load(options.experiment, options.results)
    print(PAGES[options.experiment][0](arms))
    print(provenance(arms))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="train what has no result yet")
    command.add_argument("experiment", choices=sorted(EXPERIMENTS))
    command.add_argument("--data", type=Path, required=True, help="CIFAR-10 as .npz, or a cifar-10-batches-py folder")
    command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu (default: %(default)s)")
    command.add_argument("--seeds", type=int, default=3, help="number of seeds (default: %(default)s)")
    command.add_argument("--epochs", type=int, help="instead of the experiment's own")
    command.add_argument("--arms", help="only the arms whose name matches this regular expression")
    command.add_argument("--out", type=Path, default=RESULTS, help="folder for the results (default: the repository's)")
    command.set_defaults(run=run)
    command = commands.add_parser("table", help="print the results as a table")
    command.add_argument("experiment", choices=sorted(PAGES))
    command.add_argument("--results", type=Path, default=RESULTS, help="folder of the results (default: the repository's)")
    command.set_defaults(run=table)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
