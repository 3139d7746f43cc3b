"""The records of finished runs: one JSON file per arm and seed."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results" / "accuracy"
# Records of the first harness lack "small", "finish", "peak_memory_bytes", "processes", "compiled", older ones "data"; those without "precision" are of bf16.
SCHEMA = 1
_REQUIRED = (
    "command",
    "arm",
    "seed",
    "recipe",
    "accuracy",
    "curve",
    "seconds",
    "images_per_second",
    "macs",
    "params",
    "device",
    "versions",
    "date",
)

Record = dict[str, Any]


def read_record(file: Path) -> Record:
    """One record.

    Raises:
        SystemExit: with one line for a file that is not a record, one of another schema, or one that lacks what every record has.
    """
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{file}: not a result ({type(error).__name__}: {error})") from None
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != SCHEMA:
        raise SystemExit(f"{file}: schema {schema!r} where {SCHEMA} is expected; run it again")
    missing = [key for key in _REQUIRED if key not in record]
    if missing:
        raise SystemExit(f"{file}: a result without {', '.join(missing)}; run it again")
    return record


def differences(record: Record, asked: Record) -> list[str]:
    """How a finished run differs from one that is asked for, in words: each value that both hold."""
    held, wanted = (
        _terms(values) for values in ({"compiled": False, "precision": "bf16", **record}, json.loads(json.dumps(asked)))
    )
    return [
        f"{key} {value}, not {wanted[key]}" for key, value in held.items() if key in wanted and value != wanted[key]
    ]


def _terms(record: Record) -> dict[str, Any]:
    """The recipe's values, those of its policy (the first harness had the padding of ours in the recipe), and what else decides a result."""
    recipe = record["recipe"]
    return {
        **recipe,
        **(recipe.get("policy") or {}),
        **{key: record[key] for key in ("compiled", "precision", "data") if key in record},
    }


def load(experiment: str, results: Path = RESULTS) -> dict[str, list[Record]]:
    """The records of an experiment by arm, in the order of the seeds.

    Raises:
        SystemExit: with one line for a file of another schema, two files of one run, or no file at all.
    """
    arms: dict[str, list[Record]] = defaultdict(list)
    files: dict[tuple[str, int], Path] = {}
    for file in sorted((results / experiment).glob("*.json")):
        record = read_record(file)
        first = files.setdefault((record["arm"], record["seed"]), file)
        if first != file:
            raise SystemExit(
                f"{first} and {file.name}: two results of {record['arm']}, seed {record['seed']}; delete one"
            )
        arms[record["arm"]].append(record)
    if not arms:
        raise SystemExit(f"{results / experiment}: no results yet")
    return {arm: sorted(records, key=lambda record: record["seed"]) for arm, records in arms.items()}
