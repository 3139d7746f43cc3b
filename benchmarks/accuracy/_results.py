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
    """Return the records of a folder by arm, in the order of the seeds.

    Raises:
        SystemExit: with one line, if a file is not a record, if two are of one run, or if there are none.
    """
    arms: dict[str, list[Record]] = defaultdict(list)
    files: dict[tuple[str, int], Path] = {}
    for file in sorted((results / folder).glob("*.json")):
        record = read_run(file)
        first = files.setdefault((record["arm"], record["seed"]), file)
        if first != file:
            found = f"two results of {record['arm']}, seed {record['seed']}"
            raise SystemExit(f"{first} and {file.name}: {found}; delete one")
        arms[record["arm"]].append(record)
    if not arms:
        raise SystemExit(f"{results / folder}: no results yet")
    return {arm: sorted(records, key=lambda record: record["seed"]) for arm, records in arms.items()}
