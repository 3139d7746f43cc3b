"""python -m benchmarks.gpu {compile,smoke,measure,tune}: compile, check, time and tune every Triton kernel."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path

NEEDED = ("torch", "torchvision", "triton", "numpy", "einops")
_BUDGET = 480.0


def main() -> None:
    """Parse the command line, say what is missing, and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("task", choices=("compile", "smoke", "measure", "tune"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, rewritten after each row")
    parser.add_argument(
        "--budget", type=float, default=_BUDGET, help="no row begins after so many seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="without a GPU: Triton's interpreter for smoke and tune, fake tensors for measure, one kernel for compile",
    )
    options = parser.parse_args()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}; install with pip install {' '.join(missing)}")
    if options.dry_run and options.task in ("smoke", "tune"):
        os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported
    from ._run import run

    run(options.task, options.out, budget=options.budget, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
