"""Tables from the committed results, for the docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks._markdown import markdown

RESULTS = Path(__file__).parents[1] / "results" / "throughput"
SCHEMA = 1

Row = dict[str, Any]
SETTING = ("task", "case", "dtype", "batch")


def peers(row: Row, rows: list[Row]) -> list[Row]:
    """The peers' rows of the same task, case, dtype and batch."""
    return [other for other in rows if other["peer"] and all(other[key] == row[key] for key in SETTING)]


def cells(row: Row, rows: list[Row]) -> list[str]:
    """Settings, milliseconds with quartiles, speed against the peer's best mode and layout, and the same for memory where it was measured."""
    same = peers(row, rows)
    best = min(other["median_s"] for other in same)
    quartiles = f"{1e3 * row['quartile_low_s']:.1f}-{1e3 * row['quartile_high_s']:.1f}"
    memory = [f"{row['peak_bytes'] / 1e6:.0f}", f"{row['peak_bytes'] / same[0]['peak_bytes']:.2f}"] if "peak_bytes" in row else ["", ""]
    settings = [str(row[key]) for key in (*SETTING, "who", "mode", "layout")]
    return [*settings, f"{1e3 * row['median_s']:.1f}", quartiles, f"{best / row['median_s']:.2f}", *memory]


HEADER = (*SETTING, "who", "mode", "layout", "ms", "quartiles", "speed / peer's best", "peak MB", "memory / peer")


def by_setting(rows: list[Row]) -> str:
    """One table per setting, narrow enough for a page; the memory columns only where it was measured."""
    tables = []
    for setting in dict.fromkeys(tuple(row[key] for key in SETTING) for row in rows):
        group = [row for row in rows if tuple(row[key] for key in SETTING) == setting]
        task, case, dtype, batch = setting
        columns = slice(len(SETTING), None if "peak_bytes" in group[0] else -2)
        tables.append(f"**{task}, {case}, {dtype}, batch of {batch}**\n\n" + markdown(HEADER[columns], (cells(row, rows)[columns] for row in group), left=3))
    return "\n".join(tables)


def write_docs(folder: Path, results: Path = RESULTS) -> None:
    """One page fragment per results file."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(results.glob("*.json")):
        record = json.loads(file.read_text())
        if record["schema"] != SCHEMA:
            raise SystemExit(f"{file}: schema {record['schema']!r} where {SCHEMA} is expected; run it again")
        source = f"`{record['command']}`; {record['device']}; torch {record['versions']['torch']}; {record['date']}; commit {record['commit']}.\n"
        (folder / f"throughput-{file.stem}.md").write_text(by_setting(record["rows"]) + "\n" + source)
