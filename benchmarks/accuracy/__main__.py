"""python -m benchmarks.accuracy run EXPERIMENT --data PATH: train all arms and seeds that have no result yet."""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.progress import Progress

from benchmarks._options import computes_in_bf16, default_device, find_device, select

from . import _docs
from ._checkpoint import FOLDER
from ._experiments import EXPERIMENTS, find, folder_of, versions
from ._export import FOLDER as SHIPPED
from ._export import export
from ._results import RESULTS, load
from ._run import MIXED_PRECISION, Session, file_stem, run_all

_DATA = "CIFAR-10 as an .npz or a cifar-10-batches-py folder; for Imagenette the folder with train/ and val/"


def run(options: argparse.Namespace) -> None:
    """Train what has no result yet."""
    deadline = time.monotonic() + 60 * options.budget_minutes
    name, version, device = options.experiment, options.version, find_device(options.device)
    experiment, folder = find(name, version), folder_of(name, version)
    arms = select(experiment.arms, options.only)
    seeds, epochs = options.seeds or experiment.seeds, options.epochs or experiment.epochs
    precision = options.precision or ("bf16" if computes_in_bf16(device) else "float32")
    flags = f"{'' if version == 'full' else f' --{version}'} --precision {precision} --device {options.device}"
    command = f"python -m benchmarks.accuracy run {name}{flags} --seeds {seeds} --epochs {epochs}"
    data = experiment.load(options.data)
    torch.backends.cudnn.benchmark = True
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    (options.checkpoints / ".gitignore").write_text("*\n")
    with Progress() as progress:
        session = Session(
            experiment=experiment,
            labels={"experiment": name, "version": version, "command": command},
            epochs=epochs,
            data=data.to(device),
            fingerprint=data.fingerprint(),
            device=device,
            precision=precision,
            results=options.out / folder,
            checkpoints=options.checkpoints / folder,
            progress=progress,
            deadline=deadline,
        )
        try:
            if not run_all(session, arms, seeds):
                session.say(f"stopped within the {options.budget_minutes:g} minutes; run the command again to go on")
        except KeyboardInterrupt:
            raise SystemExit("interrupted; the same command goes on from the last whole epoch") from None


def show(options: argparse.Namespace) -> None:
    """Print every experiment, its arms and how many runs there are."""
    for name, version, experiment in versions():
        done = len(list((options.results / folder_of(name, version)).glob("*.json")))
        runs = f"{done} of {len(experiment.arms) * experiment.seeds} runs"
        label = name if version == "full" else f"{name} --{version}"
        print(f"{label}: {experiment.question} {experiment.epochs} epochs, {experiment.seeds} seeds, {runs}")
        print("".join(f"    {arm}\n" for arm in experiment.arms), end="")


def table(options: argparse.Namespace) -> None:
    """Print what has been measured."""
    find(options.experiment, options.version)
    print(_docs.tables_of(options.experiment, options.version, options.results))


def ship(options: argparse.Namespace) -> None:
    """Write the weights of an arm's seed 0 into the package."""
    experiment, folder = find(options.experiment, options.version), folder_of(options.experiment, options.version)
    Accelerator(cpu=True, mixed_precision="no")  # in whose precision the accuracy is measured
    [arm] = select(experiment.arms, f"^{re.escape(options.arm)}$")
    records = load(folder, options.results).get(arm, [])
    weights = options.checkpoints / folder / f"{file_stem(arm, 0)}.weights"
    shipped = export(records, weights, experiment.load(options.data), options.out)
    print(f"{options.out}: {shipped.model}, weights {shipped.name!r}, {shipped.accuracy:.2f} % in float32")


def picture(options: argparse.Namespace) -> None:
    """Draw the picture of the README."""
    _docs.draw_headline(options.file)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _add_experiment(command: argparse.ArgumentParser) -> None:
    """Add the experiment and its version, which an option of the version's name chooses."""
    command.add_argument("experiment", help="`list` shows them")
    command.set_defaults(version="full")
    for version in sorted({version for group in EXPERIMENTS.values() for version in group} - {"full"}):
        description = f"the {version} version, with results of its own"
        command.add_argument(f"--{version}", dest="version", action="store_const", const=version, help=description)


def _add_run_options(add: argparse._ActionsContainer) -> None:
    add.add_argument("--data", type=Path, required=True, help=_DATA)
    add.add_argument("--device", default=default_device(), help="cuda or cpu (default: %(default)s)")
    add.add_argument("--seeds", type=_positive, help="how many, instead of the experiment's own number")
    add.add_argument("--epochs", type=_positive, help="instead of the experiment's own number")
    budget = "stop before an epoch that would not fit; the same command goes on later"
    add.add_argument("--budget-minutes", type=float, default=math.inf, help=budget)
    add.add_argument("--only", "--arms", help="the arms whose name matches this regular expression")
    add.add_argument("--precision", choices=MIXED_PRECISION, help="default: bf16 where the device computes in it")
    add.add_argument("--out", type=Path, default=RESULTS, help="folder of the results (default: the repository's)")
    add.add_argument("--checkpoints", type=Path, default=FOLDER, help="folder of interrupted runs (ignored by git)")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="train what has no result yet")
    _add_experiment(command)
    _add_run_options(command)
    command.set_defaults(call=run)
    listing = commands.add_parser("list", help="print the experiments and their arms")
    listing.set_defaults(call=show)
    command = commands.add_parser("table", help="print the results as a table")
    _add_experiment(command)
    command.set_defaults(call=table)
    shipping = commands.add_parser("export", help="write the final weights of an arm's seed 0 into the package")
    _add_experiment(shipping)
    shipping.add_argument("arm", help="named like its network in resizenet.list_models()")
    shipping.add_argument("--data", type=Path, required=True, help=_DATA)
    shipping.add_argument("--checkpoints", type=Path, default=FOLDER, help="folder of the weights")
    shipping.add_argument("--out", type=Path, default=SHIPPED, help="folder of the result (default: the package's)")
    shipping.set_defaults(call=ship)
    for reader in (listing, command, shipping):
        reader.add_argument("--results", type=Path, default=RESULTS, help="folder (default: the repository's)")
    command = commands.add_parser("picture", help="draw the README's picture from the results")
    command.add_argument("file", type=Path, nargs="?", default=Path("docs/stems.svg"), help="(default: %(default)s)")
    command.set_defaults(call=picture)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    sys.exit(main())
