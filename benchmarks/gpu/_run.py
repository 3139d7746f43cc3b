"""Runs one of the tasks: a row at a time, each written at once, until the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks._records import Record, environment, write
from benchmarks._tables import Table

from . import _compile, _measure, _smoke, _tune
from ._calls import Place

Row = Record
TASKS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "compile": _compile.rows,
    "smoke": _smoke.rows,
    "measure": _measure.rows,
    "tune": _tune.rows,
}
WITHOUT_A_GPU = ("compile",)
FIRST_ERROR_STOPS = ("smoke",)
ERRORS_ARE_RESULTS = ("tune",)  # a configuration may need more than the device has
_COLUMNS = ("name", "setting", "config", "result")


def run(task: str, out: Path, *, budget: float, dry_run: bool) -> None:
    """Run a task and write ``out / task.json`` after each row. SystemExit without a GPU, or if a row has an error."""
    here = dry_run or task in WITHOUT_A_GPU
    if not here and not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA device here; --dry-run needs none")
    device = torch.device("cpu" if here else "cuda")
    place = Place(device, launches=not dry_run or task != "measure", small=dry_run)
    rows: list[Row] = []
    status = "running"
    start = time.monotonic()
    record = _head(task, device, budget=budget, dry_run=dry_run) | {"rows": rows}
    _save(out, record, status)
    for row in TASKS[task](place):
        rows.append(row | {"elapsed_s": round(time.monotonic() - start, 3)})
        _save(out, record, status)
        print(" | ".join(_cells(row).values()), flush=True)
        if "error" in row and task in FIRST_ERROR_STOPS:
            status = "stopped at the first error"
            break
        if time.monotonic() - start > budget:
            status = "out of time"
            break
    else:
        status = "finished"
    _save(out, record, status)
    print(f"\n{Table.of([_cells(row) for row in rows], left=3).markdown()}\n{status}: {out / task}.json")
    failed = sum("error" in row for row in rows)
    if failed and task not in ERRORS_ARE_RESULTS:
        raise SystemExit(f"{failed} of {len(rows)} rows failed")


def _head(task: str, device: torch.device, *, budget: float, dry_run: bool) -> Record:
    command = f"python -m benchmarks.gpu {task} --budget {budget:g}{' --dry-run' if dry_run else ''}"
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    return environment(device) | {"command": command, "task": task, "dry_run": dry_run, "capability": capability}


def _save(out: Path, record: Record, status: str) -> None:
    write(out / f"{record['task']}.json", record | {"status": status})
    if record["task"] == "tune" and record["capability"] is not None:
        _tune.write_table(out / "_tuned.py", record)


def _cells(row: Row) -> dict[str, str]:
    config = ", ".join(f"{name} {value}" for name, value in row.get("config", {}).items() if value)
    cells = {name: str(row.get(name, "")) for name in _COLUMNS} | {"config": config}
    return cells | ({"result": row["error"]} if "error" in row else {})
