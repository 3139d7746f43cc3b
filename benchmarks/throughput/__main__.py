"""python -m benchmarks.throughput run SUITE: paired timings of ours and the peers, as JSON and as tables."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from rich.console import Console

from benchmarks._options import default_device, find_device, select
from benchmarks._records import environment, write

from . import _dialects, _models, _report, _resizer, _transforms
from ._compare import Bench, Row, Setting
from ._tables import RESULTS, show, show_results

SUITES = {
    "dialects": _dialects.jobs,
    "models": _models.jobs,
    "report": _report.jobs,
    "resizer": _resizer.jobs,
    "transforms": _transforms.jobs,
}
ROUNDS, QUICK_ROUNDS = 15, 7
_CONSOLE_WIDTH = 180


def run(options: argparse.Namespace) -> None:
    """Run a suite; print and write it setting by setting. SystemExit at the end if something failed."""
    device = find_device(options.device)
    torch.backends.cudnn.benchmark = True
    bench = Bench(device, QUICK_ROUNDS if options.quick else ROUNDS)
    jobs = {
        setting.title: (setting, job) for setting, job in SUITES[options.suite](device, quick=options.quick).items()
    }
    jobs = dict(jobs[title] for title in select(jobs, options.only))
    flags = f"{' --quick' if options.quick else ''}{f' --only {options.only!r}' if options.only else ''}"
    command = f"python -m benchmarks.throughput run {options.suite} --device {options.device}{flags}"
    name = re.sub("[^a-z0-9]+", "-", f"{options.suite} {device.type}{flags.replace('--only', '')}".lower()).strip("-")
    console = Console(width=_CONSOLE_WIDTH)
    rows: list[Row] = []
    for found in bench.run(jobs):
        rows += found
        show(found, console)
        if options.out:
            ceilings = {"ceilings": bench.ceilings.measured, "rows": rows}
            record = {**environment(device), "command": command, "suite": options.suite, **ceilings}
            record |= {"note": options.note} if options.note else {}
            write(options.out / f"{name}.json", record)
    failed = [f"{Setting.of(row).title}: {row['who']}, {row['mode']}: {row['error']}" for row in rows if "error" in row]
    if failed:
        raise SystemExit("failed:\n" + "\n".join(failed))


def table(options: argparse.Namespace) -> None:
    """Print what has been measured."""
    show_results(options.suite, options.results, Console(width=_CONSOLE_WIDTH))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="time a suite")
    command.add_argument("suite", choices=sorted(SUITES))
    command.add_argument("--device", default=default_device(), help="cuda or cpu (default: %(default)s)")
    command.add_argument("--quick", action="store_true", help="few settings and few rounds")
    only = "the settings whose title matches this regular expression; their results go to a file of their own"
    command.add_argument("--only", help=only)
    command.add_argument("--note", help="a sentence about the conditions, which is printed with the results")
    folder = RESULTS.relative_to(RESULTS.parents[2])
    command.add_argument(
        "--out", type=Path, help=f"folder of the JSON, such as {folder}; by default nothing is written"
    )
    command.set_defaults(call=run)
    command = commands.add_parser("table", help="print the results")
    command.add_argument("suite", nargs="?", choices=sorted(SUITES), help="all unless given")
    command.add_argument("--results", type=Path, default=RESULTS, help="folder (default: the repository's)")
    command.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
