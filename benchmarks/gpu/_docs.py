"""Tables of the docs: what the kernels compile to, before and after a change, and what was measured on a GPU."""

from __future__ import annotations

from pathlib import Path

from benchmarks import _records
from benchmarks._records import Record
from benchmarks._tables import Table

RESULTS = _records.RESULTS / "gpu"
_NUMBERS = {
    "registers": "registers",
    "stack": "bytes spilled",
    "shared": "bytes of shared memory",
    "barriers": "barriers",
    "instructions": "instructions",
}


def write_docs(folder: Path, results: Path = RESULTS) -> None:
    """Write a fragment for ``measure`` and, by version of Triton, one for every ``compile``.

    Results are compared with those of the same name in the folder ``before``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for after in sorted(results.glob("compile-*.json")):
        before, now = (_records.read(file, "rows") for file in (results / "before" / after.name, after))
        text = f"{compared(before, now).markdown()}\nBefore: {_source(before)}\nAfter: {_source(now)}\n"
        (folder / f"gpu-{after.stem}.md").write_text(text)
    measured = results / "measure.json"
    fragment = folder / "gpu-measure.md"
    if measured.exists():
        record = _records.read(measured, "rows")
        rows = [{name: row.get(name, "") for name in ("name", "setting", "result")} for row in record["rows"]]
        fragment.write_text(f"{Table.of(rows, left=2).markdown()}\n{_source(record)}\n")
    else:
        fragment.write_text("Not run yet: `python -m benchmarks.gpu measure --out benchmarks/results/gpu`\n")


def compared(before: Record, after: Record) -> Table:
    """Return a row per kernel and compute capability; a cell with two numbers has that of before first."""
    old = {(row["name"], row["setting"]): row for row in before["rows"]}
    rows = []
    for row in sorted(after["rows"], key=lambda row: row["name"]):
        pairs = {
            title: [f"{one[name]:,}" for one in (old[row["name"], row["setting"]], row)]
            for name, title in _NUMBERS.items()
        }
        cells = {title: pair[0] if pair[0] == pair[1] else " → ".join(pair) for title, pair in pairs.items()}
        rows.append({"kernel": row["name"], "GPU": row["setting"], **cells})
    return Table.of(rows, title=f"Triton {after['versions']['triton']}", left=2)


def _source(record: Record) -> str:
    versions = ", ".join(f"{name} {record['versions'][name]}" for name in ("torch", "triton"))
    return f"`{record['command']}`; {versions}; {record['date']}; commit {record['commit']}."
