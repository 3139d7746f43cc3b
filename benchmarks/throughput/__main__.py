"""python -m benchmarks.throughput run SUITE: paired timings of ours and the peers, as JSON and as tables."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import torch
from rich.console import Console

from . import _models, _report, _resizer, _transforms
from ._paired import Bench, Jobs, Row
from ._record import RESULTS, describe
from ._tables import show, show_committed

SUITES = {"models": _models.jobs, "report": _report.jobs, "resizer": _resizer.jobs, "transforms": _transforms.jobs}
ROUNDS, QUICK_ROUNDS = 15, 7
_CONSOLE_WIDTH = 180


def _device(name: str) -> torch.device:
    if name != "cpu" and not (name == "cuda" and torch.cuda.is_available()):
        raise SystemExit(f"{name}: torch finds no such device here; take --device cpu")
    return torch.device(name)


def _selected(jobs: Jobs, pattern: str | None) -> Jobs:
    try:
        found = {title: job for title, job in jobs.items() if re.search(pattern or "", title)}
    except re.error as error:
        raise SystemExit(f"--only {pattern}: not a regular expression ({error})") from None
    if not found:
        raise SystemExit(f"--only {pattern}: matches none of\n" + "\n".join(jobs))
    return found


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


def run(options: argparse.Namespace) -> None:
    """Run a suite, print and write it setting by setting; SystemExit at the end if candidates differed somewhere."""
    device = _device(options.device)
    torch.backends.cudnn.benchmark = True
    bench = Bench(device, QUICK_ROUNDS if options.quick else ROUNDS)
    jobs = _selected(SUITES[options.suite](bench, options.quick), options.only)
    flags = f"{' --quick' if options.quick else ''}{f' --only {options.only!r}' if options.only else ''}"
    command = f"python -m benchmarks.throughput run {options.suite} --device {options.device}{flags}"
    name = f"{options.suite}-{device.type}{'-quick' if options.quick else ''}{f'-{_slug(options.only)}' if options.only else ''}"
    console = Console(width=_CONSOLE_WIDTH)
    rows: list[Row] = []
    for found in bench.run(jobs):
        rows += found
        show(found, console)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{name}.json").write_text(
                json.dumps(describe(bench, options.suite, command, rows), indent=1)
            )  # so far, should the rest be lost
    if bench.failures:
        raise SystemExit("not timed:\n" + "\n".join(bench.failures))


def table(options: argparse.Namespace) -> None:
    """Print what has been measured."""
    show_committed(options.suite, options.results, Console(width=_CONSOLE_WIDTH))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="time a suite")
    command.add_argument("suite", choices=sorted(SUITES))
    command.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu (default: %(default)s)"
    )
    command.add_argument("--quick", action="store_true", help="few settings and few rounds")
    command.add_argument(
        "--only", help="the settings whose title matches this regular expression; they get a file of their own"
    )
    command.add_argument(
        "--out",
        type=Path,
        help=f"folder for the JSON, for example {RESULTS.relative_to(RESULTS.parents[2])}; not written unless given",
    )
    command.set_defaults(call=run)
    command = commands.add_parser("table", help="print the results")
    command.add_argument("suite", nargs="?", choices=sorted(SUITES), help="all unless given")
    command.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the results (default: the repository's)"
    )
    command.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
