"""python -m benchmarks.throughput run SUITE: paired timings of ours and the peers, as JSON and as a table."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
from pathlib import Path

import torch
import torchvision
from rich.console import Console
from rich.table import Table

import resizenet as rn

from . import _models, _resizer, _transforms
from ._tables import HEADER, RESULTS, SCHEMA, cells

SUITES = {"models": _models.suite, "resizer": _resizer.suite, "transforms": _transforms.suite}


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {torch.get_num_threads()} threads"


def print_table(rows: list[dict[str, object]], console: Console) -> None:
    """Every row, and how it compares with the peer's best row of the same setting."""
    table = Table()
    for column in HEADER:
        table.add_column(column)
    for row in rows:
        table.add_row(*cells(row, rows))
    console.print(table)


def run(options: argparse.Namespace) -> None:
    """Run a suite, print it and write it."""
    device = torch.device(options.device)
    rows = SUITES[options.suite](device, options.quick)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    record = {
        "schema": SCHEMA,
        "suite": options.suite,
        "command": f"python -m benchmarks.throughput run {options.suite} --device {options.device}" + (" --quick" if options.quick else ""),
        "device": _device_name(device),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__, "resizenet": rn.__version__},
        "rows": rows,
    }
    print_table(rows, Console(width=180))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        file = options.out / f"{options.suite}-{device.type}{'-quick' if options.quick else ''}.json"
        file.write_text(json.dumps(record, indent=1))
        print(file)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="time a suite")
    command.add_argument("suite", choices=sorted(SUITES))
    command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu (default: %(default)s)")
    command.add_argument("--quick", action="store_true", help="one size and few rounds")
    command.add_argument("--out", type=Path, help=f"folder for the JSON, for example {RESULTS.relative_to(RESULTS.parents[2])}; not written unless given")
    command.set_defaults(run=run)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
