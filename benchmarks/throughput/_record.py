"""The JSON files: what they hold, and where."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

import resizenet as rn
from benchmarks._environment import commit, output_of

from ._paired import Bench, Row

RESULTS = Path(__file__).parents[1] / "results" / "throughput"
SCHEMA = 2
SETTING = ("task", "case", "dtype", "batch")

_RECORD: dict[str, type] = {
    "schema": int,
    "suite": str,
    "command": str,
    "device": str,
    "date": str,
    "commit": str,
    "versions": dict,
    "rows": list,
}
_ROW: dict[str, type] = {
    "task": str,
    "case": str,
    "dtype": str,
    "batch": int,
    "who": str,
    "peer": bool,
    "mode": str,
    "layout": str,
    "median_s": float,
    "quartile_low_s": float,
    "quartile_high_s": float,
}
_SINCE_SCHEMA_2 = {"record": {"ceilings": dict}, "row": {"baseline": bool}}
_WHERE_MEASURED: dict[str, type] = {"peak_bytes": int}
_WHERE_COUNTED: dict[str, type] = {"flops": int, "least_bytes": int, "floor_s": float, "bound": str}


def setting_of(row: Row) -> tuple[Any, ...]:
    """What the rows of one table have in common."""
    return tuple(row[key] for key in SETTING)


def by_setting(rows: list[Row]) -> list[list[Row]]:
    """The rows of each table, in the order of the first."""
    order = list(dict.fromkeys(map(setting_of, rows)))
    ranked = sorted(rows, key=lambda row: order.index(setting_of(row)))
    return [list(group) for _, group in groupby(ranked, key=setting_of)]


def validate(record: dict[str, Any]) -> None:
    """Raise ValueError, which names the field, unless the record is whole: of schema 2, or of 1, which knew no baseline and no floor."""
    schema = record.get("schema")
    if schema not in (1, SCHEMA):
        raise ValueError(f"schema: expected 1 or {SCHEMA}, got {schema!r}")
    new = _SINCE_SCHEMA_2 if schema == SCHEMA else {"record": {}, "row": {}}
    _check_fields("record", record, {**_RECORD, **new["record"]})
    for index, row in enumerate(record["rows"]):
        counted = _WHERE_COUNTED if any(key in row for key in _WHERE_COUNTED) else {}
        measured = {key: kind for key, kind in _WHERE_MEASURED.items() if key in row}
        _check_fields(f"rows[{index}]", row, {**_ROW, **new["row"], **measured, **counted})
        _check_values(f"rows[{index}]", row)
    for rows in by_setting(record["rows"]):
        for flag in ("peer", *new["row"]):
            if not any(row[flag] for row in rows):
                raise ValueError(f"{setting_of(rows[0])}: expected a row with {flag!r}")


def _check_fields(where: str, found: dict[str, Any], expected: dict[str, type]) -> None:
    if found.keys() != expected.keys():
        raise ValueError(
            f"{where}: missing {sorted(expected.keys() - found.keys())}, unknown {sorted(found.keys() - expected.keys())}"
        )
    for key, kind in expected.items():
        if type(found[key]) is not kind:
            raise ValueError(f"{where}.{key}: expected {kind.__name__}, got {found[key]!r}")


def _check_values(where: str, row: Row) -> None:
    if not 0 < row["quartile_low_s"] <= row["median_s"] <= row["quartile_high_s"] < float("inf"):
        raise ValueError(
            f"{where}: expected 0 < low quartile <= median <= high quartile, got {[row[key] for key in _ROW if key.endswith('_s')]}"
        )
    if row.get("bound", "copy") not in ("copy", "matrix"):
        raise ValueError(f"{where}.bound: expected copy or matrix, got {row['bound']!r}")
    if not 0 < row.get("floor_s", 1.0) < float("inf"):
        raise ValueError(f"{where}.floor_s: expected a positive number, got {row['floor_s']!r}")


def load(file: Path) -> dict[str, Any]:
    """A record; SystemExit names the file and the field where it is not whole."""
    record: dict[str, Any] = json.loads(file.read_text())
    try:
        validate(record)
    except ValueError as error:
        raise SystemExit(f"{file}: {error}") from None
    return record


def describe(bench: Bench, suite: str, command: str, rows: list[Row]) -> dict[str, Any]:
    """Rows with where they come from."""
    return {
        "schema": SCHEMA,
        "suite": suite,
        "command": command,
        "device": _device_name(bench.device),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "versions": _versions(bench.device),
        "ceilings": bench.ceilings.measured,
        "rows": rows,
    }


def _versions(device: torch.device) -> dict[str, str]:
    packages = ("torch", "torchvision", "triton", "timm", "kornia", "pillow")
    found = {dist.metadata["Name"].lower(): dist.version for dist in importlib.metadata.distributions()}
    versions = {
        "python": platform.python_version(),
        "resizenet": rn.__version__,
        **{name: found[name] for name in packages if name in found},
    }
    versions["torch"] = torch.__version__  # with its build
    if device.type == "cuda":
        versions["driver"] = output_of("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return versions


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    threads = torch.get_num_threads()
    return f"{model}, {threads} thread{'s' if threads > 1 else ''}"
