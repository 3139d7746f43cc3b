"""python -m benchmarks.accuracy run EXPERIMENT --data PATH: one JSON file per arm and seed; finished runs are skipped, interrupted ones go on."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.progress import Progress

from benchmarks._precision import default_precision

from ._checkpoint import FOLDER
from ._experiment import Experiment
from ._experiments import EXPERIMENTS
from ._records import RESULTS
from ._run import MIXED_PRECISION, Budget, OutOfTime, Session, run_all


def _experiment(name: str, *, small: bool) -> Experiment:
    if name not in EXPERIMENTS:
        raise SystemExit(f"{name}: no such experiment; there are {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    if small and experiment.small is None:
        raise SystemExit(f"{name}: has no small version; leave out --small")
    return experiment.small if small else experiment


def _accelerator(device: str, precision: str | None) -> Accelerator:
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise SystemExit(f"{device}: torch finds no such device here; take --device cpu")
    torch.backends.cudnn.benchmark = True
    chosen = precision or default_precision(torch.device(device))
    try:
        return Accelerator(cpu=device == "cpu", mixed_precision=MIXED_PRECISION[chosen])
    except ValueError as error:
        raise SystemExit(f"--precision {chosen}: {error}") from None


def _arms(experiment: Experiment, pattern: str | None) -> list[str]:
    try:
        arms = [name for name in experiment.arms if re.search(pattern or "", name)]
    except re.error as error:
        raise SystemExit(f"--arms {pattern}: not a regular expression ({error})") from None
    if not arms:
        raise SystemExit(f"--arms {pattern}: matches none of {'; '.join(experiment.arms)}")
    return arms


def run(options: argparse.Namespace) -> None:
    """Train what has no result yet."""
    budget = Budget(options.budget_minutes)
    experiment = _experiment(options.experiment, small=options.small)
    arms = _arms(experiment, options.arms)
    seeds, epochs = options.seeds or experiment.seeds, options.epochs or experiment.epochs
    accelerator = _accelerator(options.device, options.precision)
    data = experiment.load(options.data)
    fingerprint = data.fingerprint()
    data = data.to(accelerator.device)
    flags = "".join(f" --{flag}" for flag in ("small", "compile") if getattr(options, flag))
    flags += f" --precision {options.precision}" if options.precision else ""
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    (options.checkpoints / ".gitignore").write_text("*\n")
    with Progress(disable=not accelerator.is_main_process) as progress:
        session = Session(
            name=_folder(options),
            experiment=experiment,
            data=data,
            fingerprint=fingerprint,
            accelerator=accelerator,
            progress=progress,
            command=f"python -m benchmarks.accuracy run {options.experiment}{flags} --device {options.device} --seeds {seeds} --epochs {epochs}",
            small=options.small,
            results=options.out / _folder(options),
            checkpoints=options.checkpoints,
            budget=budget,
            compiled=options.compile,
            named_precision=options.precision,
        )
        try:
            run_all(session, arms, seeds, epochs)
        except OutOfTime:
            session.say(f"stopped within the {options.budget_minutes:g} minutes; the same command goes on from here")
        except KeyboardInterrupt:
            raise SystemExit("interrupted; the same command goes on from the last whole epoch") from None
    accelerator.end_training()


def show(options: argparse.Namespace) -> None:
    """Every experiment, its arms and how many runs there are."""
    for name, experiment in EXPERIMENTS.items():
        for label, version in ((name, experiment), (f"{name} --small", experiment.small)):
            if version is None:
                continue
            done = len(list((options.results / label.replace(" --", "-")).glob("*.json")))
            print(
                f"{label}: {version.question} {version.epochs} epochs, {version.seeds} seeds, {done} of {len(version.arms) * version.seeds} runs"
            )
            for arm in version.arms:
                print(f"    {arm}")


def table(options: argparse.Namespace) -> None:
    """Print what has been measured."""
    from ._docs import tables_of

    _experiment(options.experiment, small=options.small)
    print(tables_of(_folder(options), options.results))


def picture(options: argparse.Namespace) -> None:
    """Draw what the README shows."""
    from ._docs import draw_headline

    draw_headline(options.file)


def _folder(options: argparse.Namespace) -> str:
    """Of the results: those of the small version are kept apart."""
    return options.experiment + ("-small" if options.small else "")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="train what has no result yet")
    command.add_argument("experiment", help="`list` shows them")
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        help="CIFAR-10 as .npz or a cifar-10-batches-py folder; for Imagenette the folder of train/ and val/",
    )
    command.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu (default: %(default)s)"
    )
    command.add_argument("--seeds", type=_positive, help="how many, instead of the experiment's own number")
    command.add_argument("--epochs", type=_positive, help="instead of the experiment's own")
    command.add_argument(
        "--budget-minutes", type=float, help="stop before an epoch that would not fit; the same command goes on later"
    )
    command.add_argument("--small", action="store_true", help="the version for a CPU, with results of its own")
    command.add_argument("--arms", help="only the arms whose name matches this regular expression")
    command.add_argument("--precision", choices=MIXED_PRECISION, help="default: bf16 where the device computes in it")
    command.add_argument("--compile", action="store_true", help="torch.compile the training step's model")
    command.add_argument("--out", type=Path, default=RESULTS, help="folder for the results (default: the repository's)")
    command.add_argument(
        "--checkpoints",
        type=Path,
        default=FOLDER,
        help="folder for interrupted runs (default: in the repository, ignored by git)",
    )
    command.set_defaults(call=run)
    command = commands.add_parser("list", help="the experiments and their arms")
    command.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the results (default: the repository's)"
    )
    command.set_defaults(call=show)
    command = commands.add_parser("table", help="print the results as a table")
    command.add_argument("experiment", help="`list` shows them")
    command.add_argument("--small", action="store_true", help="of the version for a CPU")
    command.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the results (default: the repository's)"
    )
    command.set_defaults(call=table)
    command = commands.add_parser("picture", help="draw the README's picture from the results")
    command.add_argument("file", type=Path, nargs="?", default=Path("docs/stems.svg"), help="(default: %(default)s)")
    command.set_defaults(call=picture)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    sys.exit(main())
