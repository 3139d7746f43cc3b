"""The records of finished runs: one JSON file per arm and seed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from benchmarks import _records
from benchmarks._records import Record

RESULTS = _records.RESULTS / "accuracy"
_COST = ("images_per_second", "macs", "params", "seconds")
_FIELDS = ("arm", "seed", "recipe", "precision", "data", "accuracy", "finish", "curve", *_COST)


def read_run(file: Path) -> Record:
    """Read the record of a run; SystemExit with one line if the file is not one."""
    return _records.read(file, *_FIELDS)


def load(folder: str, results: Path = RESULTS) -> dict[str, list[Record]]:
    """Return the records of a folder by arm, in the order of the seeds; SystemExit if there are none."""
    arms: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(map(read_run, (results / folder).glob("*.json")), key=lambda record: record["seed"]):
        arms[record["arm"]].append(record)
    if not arms:
        raise SystemExit(f"{results / folder}: no results yet")
    return dict(arms)
